"""Where a `Gpt2` comes from when no .tflite holds it: a Hugging Face GPT-2 folder, or a seed.

Goes in: an open folder, or dimensions and a seed. Comes out: a `Gpt2`, in 8 bits, or as the folder
has it for comparison. Each role asks its source for one tensor by GPT-2's name of it.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from carafe_tools.gpt2 import Dimensions, Gpt2, Layer, Linear, Matrix, Norm, Real, quantise
from carafe_tools.huggingface import HEAD, HuggingFaceFolder
from carafe_tools.stored_weights import Weights

SEED = 20190214

# what a role asks for: the name, and the shape that the role has
VectorSource = Callable[[str, int], np.ndarray]
MatrixSource = Callable[[str, tuple[int, int]], Matrix]


def from_folder(folder: Path, per_row: bool = False) -> Gpt2:
    """Return the 8-bit model in a Hugging Face GPT-2 folder, each matrix with one scale or with one
    a row.
    """
    return quantised(HuggingFaceFolder(folder), per_row)


def quantised(source: HuggingFaceFolder, per_row: bool) -> Gpt2:
    """Return the 8-bit model in an open folder, read one tensor at a time."""
    model = _of_folder(source, lambda name, shape: quantise(_matrix(source, name, shape), per_row))
    source.check_complete()
    return model


def as_stored(source: HuggingFaceFolder) -> Gpt2:
    """Return the model in an open folder with its matrices left in the file; computing with it
    reads them one by one.
    """
    return _of_folder(source, lambda name, shape: _stored(source, name, shape))


def random(dimensions: Dimensions, seed: int = SEED, per_row: bool = False, tied: bool = True, folded: bool = False) -> Gpt2:
    """Return a model of the given dimensions with random weights, the same for the same seed.

    With `per_row`, the matrices of layers have a scale a row; a head that is not tied has weights
    of its own; folded positions are in f32. The spread is wider than at a real model's start, so
    that attention and logits are uneven enough to compare.
    """
    dimensions.check("the random model")
    generator = np.random.default_rng(seed)
    deviation = 0.02 if dimensions.width >= 256 else 0.1

    def values(shape: tuple[int, ...]) -> np.ndarray:
        return generator.standard_normal(shape, dtype=np.float32) * np.float32(deviation)

    def vector(name: str, size: int) -> np.ndarray:
        return values((size,)) + np.float32(_is_gamma(name))

    def matrix(name: str, shape: tuple[int, int]) -> Matrix:
        return quantise(values(shape), per_row and name.startswith("h."))

    model = assemble(dimensions, vector, matrix, epsilon=1e-5, is_tied=tied)
    return replace(model, position_embedding=Real(model.position_embedding.dequantised())) if folded else model


def assemble(dimensions: Dimensions, vector: VectorSource, matrix: MatrixSource, epsilon: float, is_tied: bool) -> Gpt2:
    """Ask for each tensor in order, by GPT-2's own name of it, and put it in its role."""
    width = dimensions.width

    def norm(name: str) -> Norm:
        return Norm(vector(f"{name}.weight", width), vector(f"{name}.bias", width), epsilon)

    def linear(name: str, outputs: int, inputs: int) -> Linear:
        return Linear(matrix(f"{name}.weight", (outputs, inputs)), vector(f"{name}.bias", outputs))

    def layer(name: str) -> Layer:
        return Layer(
            norm(f"{name}.ln_1"),
            linear(f"{name}.attn.c_attn", 3 * width, width),
            linear(f"{name}.attn.c_proj", width, width),
            norm(f"{name}.ln_2"),
            linear(f"{name}.mlp.c_fc", 4 * width, width),
            linear(f"{name}.mlp.c_proj", width, 4 * width),
        )

    tokens = matrix("wte.weight", (dimensions.vocabulary, width))
    return Gpt2(
        dimensions,
        tokens,
        matrix("wpe.weight", (dimensions.positions, width)),
        [layer(f"h.{index}") for index in range(dimensions.layers)],
        norm("ln_f"),
        tokens if is_tied else matrix(HEAD, (dimensions.vocabulary, width)),
    )


def _of_folder(source: HuggingFaceFolder, matrix: MatrixSource) -> Gpt2:
    def vector(name: str, size: int) -> np.ndarray:
        return source.tensor(name, (size,))

    return assemble(source.dimensions, vector, matrix, source.epsilon, source.is_tied)


def _stored(source: HuggingFaceFolder, name: str, shape: tuple[int, int]) -> Weights:
    return Weights(shape, lambda rows: Real(_matrix(source, name, shape, rows)), 32)


def _matrix(source: HuggingFaceFolder, name: str, shape: tuple[int, int], rows: slice = slice(None)) -> np.ndarray:
    """Return rows of a matrix as (out, in) or of a table; the linear operations' are stored as (in,
    out) and read as a whole.
    """
    if name.startswith("h."):
        return np.ascontiguousarray(source.tensor(name, shape[::-1]).T)[rows]
    return source.tensor(name, shape, rows)


def _is_gamma(name: str) -> bool:
    return "ln_" in name and name.endswith("weight")
