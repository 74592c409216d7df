"""What a GPT-2 is to these tools: its dimensions and its 8-bit weights, each in its role.

`Gpt2` stands between the sides: the writer makes a .tflite from it, the reader finds it in a
.tflite, the graph builder and the float64 reference compute it. A matrix is int8 with zero point 0
and one scale, for the whole tensor or for each row; vectors stay f32. A tied head is the very
object that the token embedding is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from carafe_tools.errors import require
from carafe_tools.safetensors_file import widened

LARGEST_INT8 = 127  # symmetric: -128 is not used
SMALLEST = 1e-12  # keeps the scale of zeros positive


@dataclass(frozen=True)
class Dimensions:
    """The sizes of a GPT-2; letters are the usual ones of its shapes."""

    layers: int  # L
    width: int  # E
    heads: int  # H
    positions: int  # P
    vocabulary: int  # V

    @property
    def head_width(self) -> int:
        """The width of one attention head, D."""
        return self.width // self.heads

    def check(self, where: str) -> None:
        """Refuse sizes that make no GPT-2."""
        for name, value in vars(self).items():
            require(value >= 1, f"{where} has {name} `{value}`; at least 1 is needed")
        require(
            self.width % self.heads == 0,
            f"{where} has width `{self.width}`, which its {self.heads} heads do not divide",
        )


class Matrix(Protocol):
    """A matrix in whatever form its source has it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""

    def rows(self, which: np.ndarray | slice) -> "Matrix":
        """Return some of the rows."""

    def dequantised(self, dtype: type = np.float32) -> np.ndarray:
        """Return the real matrix that this one stands for."""


@dataclass(frozen=True, eq=False)
class Quantised:
    """An int8 matrix and the scales that make real numbers of it: one, or one a row, which is an
    output channel.
    """

    values: np.ndarray  # int8 (rows, columns)
    scales: np.ndarray  # f32 (1,) or (rows,)

    @property
    def is_per_row(self) -> bool:
        """Whether each row has a scale of its own."""
        return self.scales.size > 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return self.values.shape

    def rows(self, which: np.ndarray | slice) -> "Quantised":
        """Return some of the rows."""
        return Quantised(self.values[which], self.scales[which] if self.is_per_row else self.scales)

    def dequantised(self, dtype: type = np.float32) -> np.ndarray:
        """Return the real matrix that the int8 one stands for."""
        return self.values.astype(dtype) * self.scales.astype(dtype)[:, None]


@dataclass(frozen=True, eq=False)
class Real:
    """A matrix that the source holds in real numbers."""

    values: np.ndarray  # f32, f16, or as u16 the bits of bfloat16, (rows, columns)

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return self.values.shape

    def rows(self, which: np.ndarray | slice) -> "Real":
        """Return some of the rows."""
        return Real(self.values[which])

    def dequantised(self, dtype: type = np.float32) -> np.ndarray:
        """Return the matrix."""
        return widened(self.values, "BF16" if self.values.dtype == np.uint16 else "F32").astype(dtype)


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear operation, y = x W^T + b."""

    weight: Matrix  # (out, in)
    bias: np.ndarray  # (out,)


@dataclass(frozen=True, eq=False)
class Norm:
    """A layer normalisation over the width."""

    gamma: np.ndarray  # (E,)
    beta: np.ndarray  # (E,)
    epsilon: float


@dataclass(frozen=True, eq=False)
class Layer:
    """One transformer block; field names say where the operation stands, comments say GPT-2's own
    name.
    """

    attention_norm: Norm  # ln_1
    attention_in: Linear  # attn.c_attn, (3E, E): query, key, value
    attention_out: Linear  # attn.c_proj, (E, E)
    mlp_norm: Norm  # ln_2
    mlp_in: Linear  # mlp.c_fc, (4E, E)
    mlp_out: Linear  # mlp.c_proj, (E, 4E)


@dataclass(frozen=True, eq=False)
class Gpt2:
    """A whole model."""

    dimensions: Dimensions
    token_embedding: Matrix  # wte, (V, E)
    position_embedding: Matrix  # wpe, (P, E)
    layers: list[Layer]
    final_norm: Norm  # ln_f
    head: Matrix  # lm_head, (V, E)

    @property
    def is_tied(self) -> bool:
        """Whether the head is the token embedding."""
        return self.head is self.token_embedding


def linear_shapes(width: int, layers: int) -> Iterator[tuple[int, int]]:
    """Yield the (out, in) shape of each linear operation in the order of the graph, without the
    head.
    """
    for _ in range(layers):
        yield from ((3 * width, width), (width, width), (4 * width, width), (width, 4 * width))


def quantise(matrix: np.ndarray, per_row: bool = False) -> Quantised:
    """Return the matrix in symmetric int8: the largest absolute value, of all or of each row,
    becomes 127.
    """
    largest = np.abs(matrix).max(axis=1) if per_row else np.abs(matrix).max(keepdims=True).reshape(1)
    scales = (np.maximum(largest, SMALLEST) / LARGEST_INT8).astype(np.float32)
    rounded = np.round(matrix / scales[:, None])
    return Quantised(np.clip(rounded, -LARGEST_INT8, LARGEST_INT8).astype(np.int8), scales)
