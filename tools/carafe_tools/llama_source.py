"""Reads a Hugging Face folder with .safetensors of the llama kind as a language model's source.

Goes in: the folder. Comes out: a `LanguageModelSource` and the graph. Weights stay in the numbers that they are in, f32, f16 or
bfloat16, unless they are to be rounded to 8 bits. The witness of the certificate is a float64 computation of the same weights.
"""

from dataclasses import dataclass
from pathlib import Path

import openvino as ov

from carafe_tools.errors import require
from carafe_tools.huggingface import TensorFolder
from carafe_tools.language_source import LanguageModelSource, Witness
from carafe_tools.llama import Llama, count_weights
from carafe_tools.llama_folder import PREFIX, read_llama_folder
from carafe_tools.llama_graph import build_llama_graph
from carafe_tools.llama_int8 import INT8, in_int8
from carafe_tools.llama_reference import WITNESSED_WEIGHTS, llama_logits
from carafe_tools.repository_files import RepositoryFiles
from carafe_tools.repository_source import WeightFiles, repository_source
from carafe_tools.text_run import Logits, Samples

KIND = "Hugging Face folder"


@dataclass(frozen=True)
class Reference:
    """Computes samples by the float64 reference, from the folder."""

    path: Path
    context_length: int
    weights: str | None

    def __call__(self, samples: Samples) -> Logits:
        """Return the wanted logits of each sequence."""
        model = _model(self.path, self.context_length, self.weights)
        return [llama_logits(model, tokens, samples.wanted) for tokens in samples.sequences]


def read_llama_source(
    path: Path, tokenizer_path: Path | None = None, context_length: int | None = None, weights: str | None = None
) -> tuple[LanguageModelSource, ov.Model]:
    """Return what a folder holds, refusing by name what Carafe cannot serve."""
    files = RepositoryFiles(path)
    context = files.context_length(context_length)
    window = files.sliding_window()
    require(
        window is None or window >= context,
        f"`{path}` attends to the last {window} tokens alone (sliding_window), which is not built from .safetensors; "
        f"pass `--context-length {window}` for a context in which that is all, or export the model to OpenVINO",
    )
    model = _model(path, context, weights)
    found = WeightFiles(TensorFolder(path, PREFIX).files, *count_weights(model.matrices()))
    is_witnessed = found.count <= WITNESSED_WEIGHTS
    witnesses = [Witness("reference", Reference(path, context, weights), is_gated=True)] if is_witnessed else []
    source = repository_source(files, KIND, found, context, model.sizes.vocabulary, witnesses, tokenizer_path)
    return source, build_llama_graph(model)


def _model(path: Path, context_length: int, weights: str | None) -> Llama:
    model = read_llama_folder(path, context_length)
    return in_int8(model) if weights == INT8 else model
