"""What a language model of any architecture is, whatever it came from, beside its graph.

The readers of sources (an exported OpenVINO folder, a GGUF, a Hugging Face folder) make a `LanguageModelSource`; `language_model`
makes a model folder of it and of the graph. Nothing here knows a kind of source.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carafe_tools.text_run import Logits, Samples


@dataclass(frozen=True)
class Witness:
    """Somebody else who computes a source, to compare with."""

    name: str  # in the certificate: `exact_against_NAME`
    compute: Callable[[Samples], Logits]  # of a module, so that it can run in a process of its own
    is_gated: bool  # else the comparison is only reported


@dataclass(frozen=True, eq=False)
class LanguageModelSource:
    """A decoder's source, checked, but for its graph."""

    path: Path
    kind: str  # for people: `OpenVINO export`, `GGUF`
    files: list[Path]  # that hold the weights; their hash is the manifest's provenance
    context_length: int
    vocabulary_size: int  # the width of the logits; the tokenizer may have fewer tokens
    eos_token_ids: list[int]
    weight_bits: int  # of most weights
    num_weights: int
    tokenizer_json: str
    chat_template: str | None = None
    special_tokens: dict[str, str] = field(default_factory=dict)  # by transformers' names
    generation: dict[str, Any] = field(default_factory=dict)  # the manifest's `generation`
    activations: str | None = None  # the manifest's `activations`
    sliding_window: int | None = None
    licence: str | None = None  # SPDX identifier, where the source names one
    licence_files: list[Path] = field(default_factory=list)
    witnesses: list[Witness] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what a person should be told of the reading
