"""Reads a GGUF file as a language model's source: graph, tokenizer, chat template and all that is
known beside them.

Goes in: the path and the program whose reader checks the file. Comes out: a `LanguageModelSource`.
The reference of the certificate is a float64 computation of the same integers, where the model is
small enough to be computed so.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from carafe_tools import gguf_gpt2, gguf_llama
from carafe_tools.errors import require
from carafe_tools.gguf_file import GgufFile
from carafe_tools.gguf_llama import ARCHITECTURE
from carafe_tools.gguf_tokenizer import GgufTokenizer
from carafe_tools.language_source import (
    LanguageModelSource,
    References,
    RuntimeSource,
    require_whole_attention,
    served_context,
)
from carafe_tools.llama_graph import build_llama_graph
from carafe_tools.llama_reference import float64_references, llama_logits
from carafe_tools.manifest import sha256
from carafe_tools.opening import Carafe
from carafe_tools.reference import reference_logits
from carafe_tools.rounding import INTEGER_ZERO_POINTS, rounded
from carafe_tools.stored_weights import Weights, count_weights
from carafe_tools.text_graph import build_text_graph
from carafe_tools.text_run import Logits, Samples
from carafe_tools.tokenizer_files import open_tokenizer

KIND = "GGUF"
TEMPLATE = "tokenizer.chat_template"
KNOWN = "data/smollm2.json"
# types of blocks that openvino_genai does not round
EXACT_IN_GENAI = frozenset({"F16", "Q4_0", "Q8_0"})
# types of blocks whose zero points are real numbers
WITH_MINIMA = frozenset({"Q4_1", "Q4_K", "Q5_K"})


@dataclass(frozen=True, eq=False)
class Decoder:
    """A model of either kind, and the two ways to compute it."""

    vocabulary_size: int
    context_length: int
    matrices: list[Weights]
    build: Callable[[], ov.Model]
    # of tokens, at the wanted positions
    logits: Callable[[np.ndarray, np.ndarray | None], np.ndarray]


@dataclass(frozen=True)
class Float64:
    """Computes samples in float64, from the file."""

    path: Path
    carafe: Carafe
    weights: str | None

    def __call__(self, samples: Samples) -> Logits:
        """Return the wanted logits of each sequence."""
        decoder = _decoder(GgufFile(self.path, self.carafe), self.weights)
        return [decoder.logits(tokens, samples.wanted).astype(np.float32) for tokens in samples.sequences]


def read_gguf(path: Path, carafe: Carafe, context_length: int | None = None, weights: str | None = None) -> LanguageModelSource:
    """Return what a file holds, refusing by name what Carafe cannot serve."""
    file = GgufFile(path, carafe)
    decoder = _decoder(file, weights)
    context = served_context(decoder.context_length, context_length, f"`{path}` has")
    require_whole_attention(gguf_llama.sliding_window(file), context, path)
    tokenizer = GgufTokenizer(file)
    bits, count = count_weights(decoder.matrices)
    known = _known(path)
    return LanguageModelSource(
        path=path,
        graph=partial(_graph, path, carafe, weights),
        kind=KIND,
        files=[path],
        context_length=context,
        vocabulary_size=decoder.vocabulary_size,
        eos_token_ids=tokenizer.eos_token_ids(),
        weight_bits=bits,
        num_weights=count,
        tokenizer_file=open_tokenizer(tokenizer.tokenizer_json(), f"the tokenizer of `{path}`"),
        chat_template=file.text(TEMPLATE, None),
        special_tokens=tokenizer.special_tokens(),
        generation=known.get("generation", {}),
        activations=known.get("activations"),
        references=_references(file, carafe, weights, count),
        rounded_to=weights,
    )


def has_real_zero_points(path: Path, carafe: Carafe) -> bool:
    """Say whether groups of a file have zero points that are no integers."""
    return not WITH_MINIMA.isdisjoint(GgufFile(path, carafe).matrix_types())


def references(path: Path, carafe: Carafe, weights: str | None) -> References:
    """Return what a file's logits and tokens are compared with."""
    file = GgufFile(path, carafe)
    _, count = count_weights(_decoder(file, weights).matrices)
    return _references(file, carafe, weights, count)


def _references(file: GgufFile, carafe: Carafe, weights: str | None, count: int) -> References:
    """The file's own runtime reads weights as the file has them, so it says nothing of those that
    are rounded to 8 bits a row.
    """
    stored = None if weights is None else Float64(file.path, carafe, None)
    found = float64_references(Float64(file.path, carafe, weights), stored, count)
    if weights not in (None, INTEGER_ZERO_POINTS):
        return found
    rounded = sorted(file.matrix_types() - EXACT_IN_GENAI)
    reason = f"scales or zero points of {', '.join(rounded)}" if rounded else None
    return replace(found, genai=RuntimeSource(file.path, reason))


def _graph(path: Path, carafe: Carafe, weights: str | None) -> ov.Model:
    return _decoder(GgufFile(path, carafe), weights).build()


def _decoder(file: GgufFile, weights: str | None) -> Decoder:
    family = file.text(ARCHITECTURE)
    families = (*gguf_llama.FAMILIES, gguf_gpt2.FAMILY)
    known = ", ".join(f"`{name}`" for name in families)
    require(family in families, f"`{file.path}` holds a model of the family `{family}`; one of {known} was expected")
    return _gpt2(file, weights) if family == gguf_gpt2.FAMILY else _llama(file, weights)


def _llama(file: GgufFile, weights: str | None) -> Decoder:
    model = rounded(gguf_llama.read_llama(file), weights)
    return Decoder(
        model.sizes.vocabulary,
        model.sizes.context_length,
        model.matrices(),
        lambda: build_llama_graph(model),
        lambda tokens, wanted: llama_logits(model, tokens, wanted),
    )


def _gpt2(file: GgufFile, weights: str | None) -> Decoder:
    model, matrices = gguf_gpt2.read_gpt2(file, weights)
    return Decoder(
        model.dimensions.vocabulary,
        model.dimensions.positions,
        matrices,
        lambda: build_text_graph(model),
        lambda tokens, wanted: reference_logits(model, tokens, wanted),
    )


def _known(path: Path) -> dict[str, Any]:
    """Return what the one file that is known by its hash needs and cannot say itself; nothing for
    others.

    At temperature 1, which holds where nothing is said, so small a model writes nonsense. With
    activations of bf16 or of 8 bits it takes other tokens where it is undecided, such as the first
    one of the answer to what the capital of France is.
    """
    known = json.loads(files("carafe_tools").joinpath(KNOWN).read_text(encoding="utf-8"))
    is_known = path.stat().st_size == known["gguf_bytes"] and sha256(path) == known["gguf_sha256"]
    return known if is_known else {}
