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
from carafe_tools.text_run import Logits, Samples
from carafe_tools.tokenizer_files import open_tokenizer, without_batching

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
    vocabulary = vocabulary_size(graph)
    tokenizer_json, dropped = without_batching(files.tokenizer_json(tokenizer_path), tokenizer_path or path)
    check_vocabulary(tokenizer_json, f"the tokenizer of `{path}`", vocabulary)
    template, notes = files.chat_template()
    special_tokens = files.special_tokens()
    eos_token_ids = files.eos_token_ids(vocabulary) or _eos_by_text(tokenizer_json, special_tokens)
    notes += [] if eos_token_ids else [f"`{path}` names no token that ends a text; it ends where its length does"]
    notes += [f"`{key}` of the `tokenizer.json` is dropped: it prepares batches for training" for key in dropped]
    source = LanguageModelSource(
        path=path,
        kind=KIND,
        files=[path / GRAPH, path / WEIGHTS],
        context_length=context,
        vocabulary_size=vocabulary,
        eos_token_ids=eos_token_ids,
        weight_bits=bits,
        num_weights=count,
        tokenizer_json=tokenizer_json,
        chat_template=template,
        special_tokens=special_tokens,
        generation=files.generation(),
        sliding_window=files.sliding_window(),
        licence=files.licence(),
        licence_files=files.licence_files(),
        witnesses=[Witness("source", SourceGraph(path / GRAPH), is_gated=True)],
        notes=notes,
    )
    return source, graph


def _eos_by_text(tokenizer_json: str, special_tokens: dict[str, str]) -> list[int]:
    token = open_tokenizer(tokenizer_json, "the tokenizer").token_to_id(special_tokens.get("eos_token", ""))
    return [] if token is None else [token]


def check_vocabulary(tokenizer_json: str, origin: str, vocabulary_size: int) -> None:
    """Refuse a tokenizer with ids that the logits do not have; they may have more, which no text becomes."""
    vocabulary = open_tokenizer(tokenizer_json, origin).get_vocab()
    largest = max(vocabulary.values(), default=-1)
    require(largest >= 0, f"{origin} has no tokens")
    require(largest < vocabulary_size, f"{origin} has a token with id {largest}; the logits have ids 0 to {vocabulary_size - 1}")


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
