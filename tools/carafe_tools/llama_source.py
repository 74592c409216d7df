"""Reads a Hugging Face folder with .safetensors of the llama kind as a language model's source.

Goes in: the folder. Comes out: a `LanguageModelSource`. Weights stay in the numbers that they are
in, f32, f16 or bfloat16, unless they are to be rounded to 8 bits. The reference of the certificate
is a float64 computation of the same weights.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import openvino as ov

from carafe_tools.huggingface import TensorFolder
from carafe_tools.language_source import LanguageModelSource, References, require_whole_attention
from carafe_tools.llama import Llama
from carafe_tools.llama_folder import PREFIX, read_llama_folder
from carafe_tools.llama_graph import build_llama_graph
from carafe_tools.llama_reference import float64_references, llama_logits
from carafe_tools.repository_files import RepositoryFiles
from carafe_tools.repository_source import WeightFiles, repository_source
from carafe_tools.rounding import rounded
from carafe_tools.stored_weights import count_weights
from carafe_tools.text_run import Logits, Samples

KIND = "Hugging Face folder"


@dataclass(frozen=True)
class Float64:
    """Computes samples in float64, from the folder."""

    path: Path
    context_length: int
    weights: str | None

    def __call__(self, samples: Samples) -> Logits:
        """Return the wanted logits of each sequence."""
        model = _model(self.path, self.context_length, self.weights)
        return [llama_logits(model, tokens, samples.wanted).astype(np.float32) for tokens in samples.sequences]


def read_llama_source(
    path: Path, tokenizer_path: Path | None = None, context_length: int | None = None, weights: str | None = None
) -> LanguageModelSource:
    """Return what a folder holds, refusing by name what Carafe cannot serve."""
    files = RepositoryFiles(path)
    context = files.context_length(context_length)
    require_whole_attention(files.sliding_window(), context, path, ", or export the model to OpenVINO")
    model = _model(path, context, weights)
    bits, count = count_weights(model.matrices())
    found = WeightFiles(
        kind=KIND,
        files=TensorFolder(path, PREFIX).files,
        bits=bits,
        count=count,
        vocabulary_size=model.sizes.vocabulary,
        graph=partial(_graph, path, context, weights),
        references=_references(path, context, weights, count),
        rounded_to=weights,
    )
    return repository_source(files, found, context, tokenizer_path)


def references(path: Path, context_length: int, weights: str | None) -> References:
    """Return what the logits of a folder are compared with."""
    _, count = count_weights(_model(path, context_length, weights).matrices())
    return _references(path, context_length, weights, count)


def _references(path: Path, context_length: int, weights: str | None, count: int) -> References:
    stored = None if weights is None else Float64(path, context_length, None)
    return float64_references(Float64(path, context_length, weights), stored, count)


def _model(path: Path, context_length: int, weights: str | None) -> Llama:
    return rounded(read_llama_folder(path, context_length), weights)


def _graph(path: Path, context_length: int, weights: str | None) -> ov.Model:
    return build_llama_graph(_model(path, context_length, weights))
