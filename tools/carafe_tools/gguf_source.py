"""Reads a GGUF file as a language model's source: graph, tokenizer, chat template and all that is known beside them.

Goes in: the path and the program whose reader checks the file. Comes out: a `LanguageModelSource` and the graph. The witness of
the certificate is a float64 computation of the same integers, where the model is small enough to be computed so.
"""

from dataclasses import dataclass
from pathlib import Path

import openvino as ov

from carafe_tools.errors import require
from carafe_tools.gguf_file import GgufFile
from carafe_tools.gguf_llama import ARCHITECTURE, FAMILIES, read_llama, sliding_window
from carafe_tools.gguf_tokenizer import GgufTokenizer
from carafe_tools.language_source import LanguageModelSource, Witness
from carafe_tools.llama import Llama
from carafe_tools.llama_graph import build_llama_graph
from carafe_tools.llama_int8 import INT8, in_int8
from carafe_tools.llama_reference import WITNESSED_WEIGHTS, llama_logits
from carafe_tools.opening import Carafe
from carafe_tools.repository_files import LICENCES
from carafe_tools.text_run import Logits, Samples

KIND = "GGUF"
TEMPLATE = "tokenizer.chat_template"


@dataclass(frozen=True)
class Reference:
    """Computes samples by the float64 reference, from the file."""

    path: Path
    carafe: Carafe
    weights: str | None

    def __call__(self, samples: Samples) -> Logits:
        """Return the wanted logits of each sequence."""
        model = _model(GgufFile(self.path, self.carafe), self.weights)
        return [llama_logits(model, tokens, samples.wanted) for tokens in samples.sequences]


def read_gguf(
    path: Path, carafe: Carafe, context_length: int | None = None, weights: str | None = None
) -> tuple[LanguageModelSource, ov.Model]:
    """Return what a file holds, refusing by name what Carafe cannot serve."""
    file = GgufFile(path, carafe)
    model = _model(file, weights)
    tokenizer = GgufTokenizer(file)
    own = model.sizes.context_length
    require(
        context_length is None or context_length <= own,
        f"a context of {context_length} tokens was asked for; `{path}` has {own}, at most that is possible",
    )
    context = context_length or own
    window = sliding_window(file)
    require(
        window is None or window >= context,
        f"`{path}` attends to the last {window} tokens alone, which is not built from a GGUF file; "
        f"pass `--context-length {window}` for a context in which that is all",
    )
    return _source(file, tokenizer, model, context, carafe, weights), build_llama_graph(model)


def _model(file: GgufFile, weights: str | None) -> Llama:
    family = file.text(ARCHITECTURE)
    known = ", ".join(f"`{name}`" for name in FAMILIES)
    require(family in FAMILIES, f"`{file.path}` holds a model of the family `{family}`; one of {known} was expected")
    model = read_llama(file)
    return in_int8(model) if weights == INT8 else model


def _source(
    file: GgufFile, tokenizer: GgufTokenizer, model: Llama, context_length: int, carafe: Carafe, weights: str | None
) -> LanguageModelSource:
    num_weights = model.num_weights()
    is_witnessed = num_weights <= WITNESSED_WEIGHTS
    ends = tokenizer.eos_token_ids()
    return LanguageModelSource(
        path=file.path,
        kind=KIND,
        files=[file.path],
        context_length=context_length,
        vocabulary_size=model.sizes.vocabulary,
        eos_token_ids=ends,
        weight_bits=model.weight_bits(),
        num_weights=num_weights,
        tokenizer_json=tokenizer.tokenizer_json(),
        chat_template=file.text(TEMPLATE, None),
        special_tokens=tokenizer.special_tokens(),
        licence=_licence(file),
        witnesses=[Witness("reference", Reference(file.path, carafe, weights), is_gated=True)] if is_witnessed else [],
        notes=[] if ends else [f"`{file.path}` names no token that ends a text; it ends where its length does"],
    )


def _licence(file: GgufFile) -> str | None:
    named = file.text("general.license", None)
    return None if named is None else LICENCES.get(named.lower(), named)
