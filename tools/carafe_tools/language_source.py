"""What a language model of any architecture is, whatever it came from.

The readers of sources (an exported OpenVINO folder, a GGUF, a Hugging Face folder) make a
`LanguageModelSource`; `language_model` makes a model folder of it. Nothing here knows a kind of
source.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openvino as ov

from carafe_tools.errors import require
from carafe_tools.text_run import Logits, Samples
from carafe_tools.tokenizer_files import TokenizerFile


@dataclass(frozen=True)
class Reference:
    """Another computation of a source, to compare logits with."""

    name: str  # in the certificate: `exact_against_NAME`
    compute: Callable[[Samples], Logits]  # picklable, since a process of its own does it
    is_gated: bool = True  # whether the graph must agree with it


@dataclass(frozen=True)
class RuntimeSource:
    """A source that its own runtime, openvino_genai, reads."""

    path: Path
    rounded: str | None = None  # what that runtime rounds, so that its tokens prove nothing


@dataclass(frozen=True)
class References:
    """All that a certificate compares a graph with beside itself."""

    logits: list[Reference] = field(default_factory=list)
    genai: RuntimeSource | None = None  # to compare greedy tokens with
    lacking: dict[str, str] = field(default_factory=dict)  # what cannot be compared, and why


@dataclass(frozen=True, eq=False)
class LanguageModelSource:
    """A decoder's source, checked."""

    path: Path
    graph: Callable[[], ov.Model]  # makes the graph; picklable, since a process of its own does it
    kind: str  # for people: `OpenVINO export`, `GGUF`
    files: list[Path]  # that hold the weights; their hash is the manifest's provenance
    context_length: int
    vocabulary_size: int  # the width of the logits; the tokenizer may have fewer tokens
    eos_token_ids: list[int]
    weight_bits: int  # of most weights
    num_weights: int
    tokenizer_file: TokenizerFile
    references: References
    rounded_to: str | None = None  # the form that weights were rounded to, if they were
    chat_template: str | None = None
    special_tokens: dict[str, str] = field(default_factory=dict)  # by transformers' names
    generation: dict[str, Any] = field(default_factory=dict)  # the manifest's `generation`
    activations: str | None = None  # the manifest's `activations`
    sliding_window: int | None = None
    notes: list[str] = field(default_factory=list)  # what a person should know of the reading


def served_context(own: int, asked: int | None, origin: str) -> int:
    """Return the context that a person asks for, at most the source's own, or the source's own."""
    require(
        asked is None or asked <= own,
        f"a context of {asked} tokens was asked for; {origin} {own}, at most that is possible",
    )
    return asked or own


def require_whole_attention(window: int | None, context_length: int, origin: Path, advice: str = "") -> None:
    """Refuse a sliding window that is felt within the context, which the llama kind's graph does
    not have.
    """
    require(
        window is None or window >= context_length,
        f"`{origin}` attends to the last {window} tokens alone (sliding_window), which is not built here; "
        f"pass `--context-length {window}` for a context in which that is all{advice}",
    )
