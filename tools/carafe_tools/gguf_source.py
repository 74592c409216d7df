"""Reads a GGUF file as a language model's source: graph, tokenizer, chat template and all that is known beside them.

Goes in: the path and the program whose reader checks the file. Comes out: a `LanguageModelSource` and the graph. The witness of
the certificate is a float64 computation of the same integers, where the model is small enough to be computed so.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
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
from carafe_tools.language_source import LanguageModelSource, Witness
from carafe_tools.llama import Weights, count_weights
from carafe_tools.llama_graph import build_llama_graph
from carafe_tools.llama_int8 import INT8, in_int8
from carafe_tools.llama_reference import WITNESSED_WEIGHTS, llama_logits
from carafe_tools.manifest import sha256
from carafe_tools.opening import Carafe
from carafe_tools.reference import reference_logits
from carafe_tools.repository_files import LICENCES
from carafe_tools.text_graph import build_text_graph
from carafe_tools.text_run import Logits, Samples

KIND = "GGUF"
TEMPLATE = "tokenizer.chat_template"
KNOWN = "data/smollm2.json"


@dataclass(frozen=True, eq=False)
class Decoder:
    """A model of either kind, and the two ways to compute it."""

    vocabulary_size: int
    context_length: int
    matrices: list[Weights]
    build: Callable[[], ov.Model]
    logits: Callable[[np.ndarray, np.ndarray | None], np.ndarray]  # of tokens, at the wanted positions


@dataclass(frozen=True)
class Reference:
    """Computes samples by the float64 reference, from the file."""

    path: Path
    carafe: Carafe
    weights: str | None

    def __call__(self, samples: Samples) -> Logits:
        """Return the wanted logits of each sequence."""
        decoder = _decoder(GgufFile(self.path, self.carafe), self.weights)
        return [decoder.logits(tokens, samples.wanted) for tokens in samples.sequences]


def read_gguf(
    path: Path, carafe: Carafe, context_length: int | None = None, weights: str | None = None
) -> tuple[LanguageModelSource, ov.Model]:
    """Return what a file holds, refusing by name what Carafe cannot serve."""
    file = GgufFile(path, carafe)
    decoder = _decoder(file, weights)
    context = _context_length(file, decoder.context_length, context_length)
    return _source(file, decoder, context, Reference(path, carafe, weights)), decoder.build()


def _decoder(file: GgufFile, weights: str | None) -> Decoder:
    family = file.text(ARCHITECTURE)
    families = (*gguf_llama.FAMILIES, gguf_gpt2.FAMILY)
    known = ", ".join(f"`{name}`" for name in families)
    require(family in families, f"`{file.path}` holds a model of the family `{family}`; one of {known} was expected")
    return _gpt2(file, weights) if family == gguf_gpt2.FAMILY else _llama(file, weights)


def _llama(file: GgufFile, weights: str | None) -> Decoder:
    model = gguf_llama.read_llama(file)
    model = in_int8(model) if weights == INT8 else model
    return Decoder(
        model.sizes.vocabulary,
        model.sizes.context_length,
        model.matrices(),
        lambda: build_llama_graph(model),
        lambda tokens, wanted: llama_logits(model, tokens, wanted),
    )


def _gpt2(file: GgufFile, weights: str | None) -> Decoder:
    model, matrices = gguf_gpt2.read_gpt2(file, weights == INT8)
    return Decoder(
        model.dimensions.vocabulary,
        model.dimensions.positions,
        matrices,
        lambda: build_text_graph(model),
        lambda tokens, wanted: reference_logits(model, tokens)[slice(None) if wanted is None else wanted],
    )


def _context_length(file: GgufFile, own: int, asked: int | None) -> int:
    require(
        asked is None or asked <= own,
        f"a context of {asked} tokens was asked for; `{file.path}` has {own}, at most that is possible",
    )
    context = asked or own
    window = gguf_llama.sliding_window(file)
    require(
        window is None or window >= context,
        f"`{file.path}` attends to the last {window} tokens alone, which is not built from a GGUF file; "
        f"pass `--context-length {window}` for a context in which that is all",
    )
    return context


def _source(file: GgufFile, decoder: Decoder, context_length: int, reference: Reference) -> LanguageModelSource:
    tokenizer = GgufTokenizer(file)
    bits, count = count_weights(decoder.matrices)
    ends = tokenizer.eos_token_ids()
    known = _known(file.path)
    return LanguageModelSource(
        path=file.path,
        kind=KIND,
        files=[file.path],
        context_length=context_length,
        vocabulary_size=decoder.vocabulary_size,
        eos_token_ids=ends,
        weight_bits=bits,
        num_weights=count,
        tokenizer_json=tokenizer.tokenizer_json(),
        chat_template=file.text(TEMPLATE, None),
        special_tokens=tokenizer.special_tokens(),
        generation=known.get("generation", {}),
        activations=known.get("activations"),
        licence=_licence(file),
        witnesses=[Witness("reference", reference, is_gated=True)] if count <= WITNESSED_WEIGHTS else [],
        notes=[] if ends else [f"`{file.path}` names no token that ends a text; it ends where its length does"],
    )


def _known(path: Path) -> dict[str, Any]:
    """Return what the one file that is known by its hash needs and cannot say itself; nothing for others.

    At temperature 1, which holds where nothing is said, so small a model writes nonsense. With activations of bf16 or of 8 bits it
    takes other tokens where it is undecided, such as the first one of the answer to what the capital of France is.
    """
    known = json.loads(files("carafe_tools").joinpath(KNOWN).read_text(encoding="utf-8"))
    is_known = path.stat().st_size == known["gguf_bytes"] and sha256(path) == known["gguf_sha256"]
    return known if is_known else {}


def _licence(file: GgufFile) -> str | None:
    named = file.text("general.license", None)
    return None if named is None else LICENCES.get(named.lower(), named)
