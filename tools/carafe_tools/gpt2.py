"""What a GPT-2 is to these tools: its dimensions and its 8-bit weights, each in its role.

`Gpt2` stands between the sides: the writer makes a .tflite from it, the reader finds it in a .tflite, the graph builder and
the float64 reference compute it. A matrix is int8 with one scale for the whole tensor and zero point 0, the way the 2019
weight quantiser left it; vectors stay f32. The head is the token embedding, so it has no field of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from carafe_tools.errors import require

LARGEST_INT8 = 127  # symmetric: -128 is not used


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


@dataclass(frozen=True, eq=False)
class Quantised:
    """An int8 matrix and the scale that makes real numbers of it."""

    values: np.ndarray  # int8
    scale: np.float32

    def dequantised(self, dtype: type = np.float32) -> np.ndarray:
        """Return the real matrix that the int8 one stands for."""
        return self.values.astype(dtype) * dtype(self.scale)


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear operation, y = x W^T + b."""

    weight: Quantised  # (out, in)
    bias: np.ndarray  # (out,)


@dataclass(frozen=True, eq=False)
class Norm:
    """A layer normalisation over the width."""

    gamma: np.ndarray  # (E,)
    beta: np.ndarray  # (E,)
    epsilon: float


@dataclass(frozen=True, eq=False)
class Layer:
    """One transformer block; field names say where the operation stands, comments say GPT-2's own name."""

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
    token_embedding: Quantised  # wte, (V, E); also the head
    position_embedding: Quantised  # wpe, (P, E)
    layers: list[Layer]
    final_norm: Norm  # ln_f


def linear_shapes(width: int, layers: int) -> Iterator[tuple[int, int]]:
    """Yield the (out, in) shape of each linear operation in the order of the graph, without the head."""
    for _ in range(layers):
        yield from ((3 * width, width), (width, width), (4 * width, width), (width, 4 * width))


def quantise(matrix: np.ndarray) -> Quantised:
    """Return the matrix in per-tensor symmetric int8: the largest absolute value becomes 127."""
    scale = np.float32(max(float(np.abs(matrix).max()), 1e-12) / LARGEST_INT8)
    rounded = np.round(matrix / scale)
    return Quantised(np.clip(rounded, -LARGEST_INT8, LARGEST_INT8).astype(np.int8), scale)
