"""Reads an exported OpenVINO folder, as `optimum-cli export openvino` and the hub's OpenVINO
organisation make them.

Goes in: the folder, with `openvino_model.xml` and `.bin`, `config.json`, the tokenizer's files.
Comes out: a `LanguageModelSource` and the graph, prepared for Carafe. Its weights stay in the
format that they are in, whatever that is. The reference of its certificate is the graph as the file
has it, run by OpenVINO.
"""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import openvino as ov

from carafe_tools.environment import compile_model, read_model
from carafe_tools.errors import require
from carafe_tools.exported_graph import ask_for_rows, prepare, vocabulary_size
from carafe_tools.huggingface import weight_files
from carafe_tools.language_source import LanguageModelSource, Reference, References, RuntimeSource
from carafe_tools.narrow import operations
from carafe_tools.repository_files import RepositoryFiles
from carafe_tools.repository_source import WeightFiles, repository_source
from carafe_tools.text_run import Logits, Samples

KIND = "OpenVINO export"
GRAPH, WEIGHTS = "openvino_model.xml", "openvino_model.bin"
WEIGHT_BITS = (4, 8, 16, 32)


@dataclass(frozen=True)
class SourceGraph:
    """Computes samples by the graph as the source has it, with its own inputs.

    Only its head is asked for fewer rows: the logits of every position of a long prompt would be
    gigabytes where the vocabulary is large.
    """

    path: Path

    def __call__(self, samples: Samples) -> Logits:
        """Return the wanted logits of each sequence."""
        graph = read_model(self.path)
        if samples.wanted is not None:
            ask_for_rows(graph, samples.wanted, f"`{self.path}`")
        compiled = compile_model(graph, "exact")
        return [self._logits(compiled, tokens) for tokens in samples.sequences]

    def _logits(self, compiled: ov.CompiledModel, tokens: np.ndarray) -> np.ndarray:
        length = len(tokens)
        values = {
            "input_ids": tokens[None],
            "position_ids": np.arange(length)[None],
            "attention_mask": np.ones((1, length)),
            "beam_idx": np.zeros(1),
        }
        ports = {port.get_any_name(): port.get_element_type().to_dtype() for port in compiled.inputs}
        found = compiled.create_infer_request().infer({name: values[name].astype(kind) for name, kind in ports.items()})
        return found["logits"][0].astype(np.float32, copy=False)


def is_exported(path: Path) -> bool:
    """Say whether a path is a folder with an exported graph."""
    return path.is_dir() and (path / GRAPH).is_file()


def source_files(path: Path) -> list[Path]:
    """Return the files of a source of any kind that hold its weights, whose hash a manifest has."""
    return [path / GRAPH, path / WEIGHTS] if is_exported(path) else weight_files(path) if path.is_dir() else [path]


def read_exported(path: Path, tokenizer_path: Path | None = None, context_length: int | None = None) -> LanguageModelSource:
    """Return what an exported folder holds, refusing by name what Carafe cannot serve."""
    require((path / WEIGHTS).is_file(), f"`{path}` has `{GRAPH}` but no `{WEIGHTS}`")
    files = RepositoryFiles(path)
    context = files.context_length(context_length)
    graph = prepared_graph(path)
    bits, count = count_weights(graph)
    weights = WeightFiles(
        kind=KIND,
        files=source_files(path),
        bits=bits,
        count=count,
        vocabulary_size=vocabulary_size(graph),
        graph=partial(prepared_graph, path),
        references=references(path),
    )
    return repository_source(files, weights, context, tokenizer_path)


def references(path: Path) -> References:
    """Return what an exported folder's logits and tokens are compared with."""
    return References([Reference("source", SourceGraph(path / GRAPH))], genai=RuntimeSource(path))


def prepared_graph(path: Path) -> ov.Model:
    """Return an exported folder's graph, made one that Carafe serves."""
    graph = read_model(path / GRAPH)
    prepare(graph, f"`{path / GRAPH}`")
    return graph


def count_weights(graph: ov.Model) -> tuple[int, int]:
    """Return the bits of most of a graph's weights, and how many weights there are: those of tables
    and matrices.
    """
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
