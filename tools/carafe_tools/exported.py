"""Reads an exported OpenVINO folder, as `optimum-cli export openvino` and the hub's OpenVINO organisation make them.

Goes in: the folder, with `openvino_model.xml` and `.bin`, `config.json`, the tokenizer's files. Comes out: a
`LanguageModelSource` and the graph, prepared for Carafe. Its weights stay in the format that they are in, whatever that is. The
witness of its certificate is the graph as the file has it, run by OpenVINO without any of our changes.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov

from carafe_tools.environment import compile_model, read_model
from carafe_tools.errors import require
from carafe_tools.exported_graph import prepare, vocabulary_size
from carafe_tools.huggingface import weight_files
from carafe_tools.language_source import LanguageModelSource, Witness
from carafe_tools.narrow import operations
from carafe_tools.repository_files import RepositoryFiles
from carafe_tools.repository_source import WeightFiles, repository_source
from carafe_tools.text_run import Logits, Samples

KIND = "OpenVINO export"
GRAPH, WEIGHTS = "openvino_model.xml", "openvino_model.bin"
WEIGHT_BITS = (4, 8, 16, 32)


@dataclass(frozen=True)
class SourceGraph:
    """Computes samples by the graph as the source has it, with its own inputs."""

    path: Path

    def __call__(self, samples: Samples) -> Logits:
        """Return the wanted logits of each sequence."""
        compiled = compile_model(read_model(self.path), "exact")
        return [self._logits(compiled, tokens, samples.wanted) for tokens in samples.sequences]

    def _logits(self, compiled: ov.CompiledModel, tokens: np.ndarray, wanted: np.ndarray | None) -> np.ndarray:
        length = len(tokens)
        values = {
            "input_ids": tokens[None],
            "position_ids": np.arange(length)[None],
            "attention_mask": np.ones((1, length)),
            "beam_idx": np.zeros(1),
        }
        ports = {port.get_any_name(): port.get_element_type().to_dtype() for port in compiled.inputs}
        found = compiled.create_infer_request().infer({name: values[name].astype(kind) for name, kind in ports.items()})
        logits = found["logits"][0]
        return (logits if wanted is None else logits[wanted]).astype(np.float32)


def is_exported(path: Path) -> bool:
    """Say whether a path is a folder with an exported graph."""
    return path.is_dir() and (path / GRAPH).is_file()


def source_files(path: Path) -> list[Path]:
    """Return the files of a source of any kind that hold its weights, whose hash a manifest has."""
    return [path / GRAPH, path / WEIGHTS] if is_exported(path) else weight_files(path) if path.is_dir() else [path]


def read_exported(
    path: Path, tokenizer_path: Path | None = None, context_length: int | None = None
) -> tuple[LanguageModelSource, ov.Model]:
    """Return what an exported folder holds, refusing by name what Carafe cannot serve."""
    require((path / WEIGHTS).is_file(), f"`{path}` has `{GRAPH}` but no `{WEIGHTS}`")
    files = RepositoryFiles(path)
    graph = read_model(path / GRAPH)
    bits, count = count_weights(graph)
    context = files.context_length(context_length)
    prepare(graph, f"`{path / GRAPH}`")
    weights = WeightFiles([path / GRAPH, path / WEIGHTS], bits, count)
    witnesses = [Witness("source", SourceGraph(path / GRAPH), is_gated=True)]
    return repository_source(files, KIND, weights, context, vocabulary_size(graph), witnesses, tokenizer_path), graph


def count_weights(graph: ov.Model) -> tuple[int, int]:
    """Return the bits of most of a graph's weights, and how many weights there are: those of tables and matrices."""
    counts: Counter[int] = Counter()
    for operation in operations(graph):
        if operation.get_type_name() == "Constant" and len(operation.get_output_shape(0)) > 1:
            bits = operation.get_element_type().bitwidth
            counts[next((known for known in WEIGHT_BITS if bits <= known), bits)] += int(np.prod(operation.get_output_shape(0)))
    require(bool(counts), "the graph has no weights")
    bits, _ = counts.most_common(1)[0]
    require(
        bits in WEIGHT_BITS,
        f"most of the graph's weights have {bits} bits; one of {', '.join(map(str, WEIGHT_BITS))} was expected",
    )
    return bits, sum(counts.values())
