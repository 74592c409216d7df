"""`zoo`: the exported architectures of fixtures/llm-zoo.tar.xz, and how far Carafe's pages are from
PyTorch's logits of them.

Goes in: the archive, tiny decoders with random weights as optimum-intel exports them, beside each
PyTorch's logits of 200 tokens. Comes out: a line for each, by `zoo`; the table in docs/models.md is
made by it, and the tests hold every line to a limit. Of a quantised export PyTorch's logits are
those before rounding, so its reference is the exported graph itself, as its file has it.

    python -m carafe_tools zoo --document docs/models.md
"""

import argparse
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from carafe_tools.certificate import GRAPH, load_graph
from carafe_tools.document import write_part
from carafe_tools.environment import compile_model
from carafe_tools.exported import GRAPH as EXPORTED_GRAPH
from carafe_tools.exported import SourceGraph, read_exported
from carafe_tools.language_source import LanguageModelSource
from carafe_tools.text_context import check_paged, compile_paged, logits_in_steps, stateful_logits
from carafe_tools.text_run import Samples

ARCHIVE = "llm-zoo.tar.xz"
FOLDER, TOKENIZER, REFERENCE = "llm-zoo", "tokenizer.json", "ref.npz"
CONTEXT_LENGTH = 512  # of all but falcon; bloom's configuration names none
PREFILL = 40  # tokens of the first step, a token a step after it
PART = "zoo"
HEADER = [
    "| architecture | what is particular | weights | one step | 40 tokens, then one a step | stateful | largest logit |",
    "|---|---|---|---|---|---|---|",
]
PARTICULARS = {
    "bloom": "ALiBi, no position ids",
    "falcon": "one key and value head, parallel residual",
    "gemma2": "sliding window of 64 in every other layer, soft-capped scores and logits",
    "gpt2": "learned positions",
    "gpt_neox": "rotary embedding of a quarter of each head",
    "llama": "rotary embedding, grouped queries",
    "llama-int8": "rounded to 8 bits by row",
    "mistral": "sliding window of 64",
    "opt": "learned positions with an offset",
    "qwen2": "biases of queries, keys and values",
    "qwen3": "norms of queries and keys",
    "qwen3-int4": "rounded to 4 bits in groups",
    "qwen3_moe": "four experts, two for each token",
    "smollm3": "rotary embedding in every other layer",
}


@dataclass(frozen=True)
class Measured:
    """How far an architecture's logits are from their reference, the largest error of each way."""

    weight_bits: int
    whole: float
    stepwise: float
    stateful: float
    largest: float  # logit of the reference, without its sign


def unpack(archive: Path, into: Path) -> dict[str, Path]:
    """Unpack the exports, each with the tokenizer that they share, and return their folders by
    name.
    """
    with tarfile.open(archive) as packed:
        packed.extractall(into, filter="data")
    folders = {path.name: path for path in sorted((into / FOLDER).iterdir()) if path.is_dir()}
    for folder in folders.values():
        shutil.copyfile(into / FOLDER / TOKENIZER, folder / TOKENIZER)
    return folders


def measure(export: Path) -> Measured:
    """Run an export's sequence in `exact`, in pages and as the prepared graph has it."""
    source = read_exported(export, context_length=CONTEXT_LENGTH)
    return measure_against(source, *_reference(export, source.weight_bits))


def measure_against(source: LanguageModelSource, tokens: np.ndarray, expected: np.ndarray) -> Measured:
    """Run a sequence, whose logits (T, V) are expected, in `exact`, in pages and as the prepared
    graph has it.
    """
    with tempfile.TemporaryDirectory() as scratch:
        ov.save_model(source.graph(), Path(scratch) / GRAPH, compress_to_fp16=False)
        check_paged(load_graph(Path(scratch)), f"`{source.path}`")
        paged = compile_paged(load_graph(Path(scratch)), "exact")
        stateful = compile_model(load_graph(Path(scratch)), "exact")

    def error(logits: np.ndarray) -> float:
        return float(np.abs(logits - expected).max())

    return Measured(
        source.weight_bits,
        whole=error(logits_in_steps(paged, tokens)),
        stepwise=error(logits_in_steps(paged, tokens, range(PREFILL, len(tokens)))),
        stateful=error(stateful_logits(stateful, tokens)),
        largest=float(np.abs(expected).max()),
    )


def write_zoo(archive: Path, document: Path | None) -> dict[str, Any]:
    """Measure every export, print the table, also into a document if there is one, and return the
    errors.
    """
    lines = list(HEADER)
    print("\n".join(HEADER))
    errors = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, folder in unpack(archive, Path(scratch)).items():
            found = measure(folder)
            errors[name] = max(found.whole, found.stepwise)
            lines.append(_line(name, found))
            print(lines[-1], flush=True)
    if document is not None:
        write_part(document, PART, lines)
    return {"zoo": errors}


def add_command(commands: Any) -> None:
    """Add `zoo` to a parser's commands."""
    command = commands.add_parser("zoo", help="run every exported architecture of the fixtures and print the errors")
    command.add_argument("--archive", type=Path, default=Path("fixtures") / ARCHIVE)
    command.add_argument("--document", type=Path, help="put the table into this Markdown file, too")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    return write_zoo(arguments.archive, arguments.document)


def source_logits(export: Path, tokens: np.ndarray) -> np.ndarray:
    """Return the logits (T, V) of a sequence by an export's own graph, as its file has it."""
    return SourceGraph(export / EXPORTED_GRAPH)(Samples([tokens], [], stepwise=0))[0]


def _reference(export: Path, weight_bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the tokens and the logits (T, V) that they must have."""
    with np.load(export / REFERENCE) as reference:
        tokens, logits = reference["ids"][0].astype(np.int32), reference["ref"]
    if weight_bits >= 16:
        return tokens, logits
    return tokens, source_logits(export, tokens)


def _line(name: str, found: Measured) -> str:
    errors = " | ".join(f"{error:.1e}" for error in (found.whole, found.stepwise, found.stateful))
    return f"| `{name}` | {PARTICULARS[name]} | {found.weight_bits} bits | {errors} | {found.largest:.1f} |"
