"""What the certificates of all tasks have in common: how a saved graph is loaded, described and
judged.

A certificate is the contents of `certificate.json`: what was compared with what, how far apart it
was, and whether the gates were passed. `text_certificate` and `classifier_certificate` make them;
this module knows no task, and writes the file.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import openvino as ov

from carafe_tools.environment import openvino_version, processor, read_model
from carafe_tools.errors import ConversionError
from carafe_tools.memory import measure_apart
from carafe_tools.narrow import operations, require_narrow

FORMAT = 1
GRAPH, WEIGHTS, CERTIFICATE = "model.xml", "model.bin", "certificate.json"
IMAGE_TASK = "image-classification"
REPEATS = 3
RELOADS = 2


def load_graph(folder: Path) -> ov.Model:
    """Return the graph of a model folder, proved to have no tensor wider than 32 bits."""
    graph = read_model(folder / GRAPH)
    require_narrow(graph, f"`{folder / GRAPH}`")
    return graph


def describe(folder: Path, name: str, task: str, source_bytes: int) -> dict[str, Any]:
    """Return the part of a certificate that tells of the model, its files and the machine."""
    return {
        "format": FORMAT,
        "model": name,
        "task": task,
        "openvino": openvino_version(),
        "processor": processor(),
        "graph": describe_graph(load_graph(folder)),
        "memory": measure_apart(folder / GRAPH),
        "sizes": {
            "source_bytes": source_bytes,
            "graph_bytes": (folder / GRAPH).stat().st_size,
            "weights_bytes": (folder / WEIGHTS).stat().st_size,
        },
    }


def describe_graph(graph: ov.Model) -> dict[str, Any]:
    """Return what a graph is made of: operations, element types, widest type, inputs and
    outputs.
    """
    types = {output.get_element_type() for operation in operations(graph) for output in operation.outputs()}
    return {
        "operations": dict(sorted(Counter(operation.get_type_name() for operation in operations(graph)).items())),
        "types": sorted(kind.to_string() for kind in types),
        "widest_bits": max(kind.bitwidth for kind in types),
        "inputs": [_port(port) for port in graph.inputs],
        "outputs": [_port(port) for port in graph.outputs],
    }


def comparisons(certificate: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return what a certificate compares, `logits` or `scores`, and its comparisons by name."""
    kind = "logits" if "logits" in certificate else "scores"
    return kind, certificate[kind]


def require_passed(certificate: dict[str, Any], failure: str) -> None:
    """Refuse a certificate that did not pass, naming the first gate that failed."""
    if certificate["passed"]:
        return
    for name, entry in comparisons(certificate)[1].items():
        if entry["passed"] is False:
            raise ConversionError(f"{failure}: `{name}` has max_error {entry['max_error']:g}, its gate is: {entry['gate']}")
    published = certificate.get("published") or {}
    if published.get("passed") is False:
        found = f"argmax_equal {published['argmax_equal']} of {published['rows']}, top5_overlap {published['top5_overlap']:g}"
        raise ConversionError(f"{failure}: `published` has {found}; its gate is: {published['gate']}")
    genai = certificate.get("genai") or {}
    if genai.get("passed") is False:
        worst = max(genai["first_differences"], key=lambda difference: difference["gap"] - difference["limit"])
        found = f"token {worst['token']} where openvino_genai has {worst['genai_token']}, logits {worst['gap']:g} apart"
        raise ConversionError(f"{failure}: `genai` has {found}; its gate is: {genai['gate']}")
    raise ConversionError(f"{failure}: `determinism` is {certificate['determinism']}; bit-identical results were expected")


def write_certificate(folder: Path, certificate: dict[str, Any]) -> None:
    """Write `certificate.json` into a model folder."""
    (folder / CERTIFICATE).write_text(json.dumps(certificate, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _port(port: Any) -> str:
    return f"{port.get_any_name()}: {port.get_element_type().to_string()} {port.get_partial_shape()}"
