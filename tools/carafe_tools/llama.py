"""What a model of the llama kind is to these tools: its sizes, its rotary positions, and its
weights, each in its role.

The kind is: RMSNorm before attention and MLP, rotary positions (RoPE), grouped-query attention,
SwiGLU. Families differ in what is there and what is not: biases of the projections, norms of
queries and keys, a head of its own, layers without positions. The readers of GGUF and of
safetensors make a `Llama`; the graph builder and the float64 reference compute it, and neither
knows a family. Matrices are read when they are asked for and not kept.
"""

import math
from dataclasses import dataclass

import numpy as np

from carafe_tools.errors import require
from carafe_tools.stored_weights import Weights


@dataclass(frozen=True, eq=False)
class Rope:
    """Rotary positions (Su et al., "RoFormer", 2021): how fast each pair of a head's dimensions
    turns.
    """

    frequencies: np.ndarray  # f64 (R/2,), radians a position; R of the D dimensions turn
    magnitude: float = 1.0  # by which sines and cosines are multiplied, which YaRN does


@dataclass(frozen=True)
class Sizes:
    """The sizes of a model; letters are the usual ones of its shapes."""

    layers: int  # L
    width: int  # E
    heads: int  # H
    kv_heads: int  # K
    head_width: int  # D
    inner: int  # F, of the MLP
    vocabulary: int  # V
    context_length: int  # P

    def check(self, where: str) -> None:
        """Refuse sizes that make no model."""
        for name, value in vars(self).items():
            require(value >= 1, f"{where} has {name} `{value}`; at least 1 is needed")
        require(
            self.heads % self.kv_heads == 0, f"{where} has {self.heads} heads, which its {self.kv_heads} KV heads do not divide"
        )
        require(self.head_width % 2 == 0, f"{where} has heads {self.head_width} wide; an even number was expected")


@dataclass(frozen=True, eq=False)
class Projection:
    """A linear operation, y = x W^T + b, with or without the bias."""

    weights: Weights
    bias: np.ndarray | None  # f32 (out,)


@dataclass(frozen=True, eq=False)
class LlamaLayer:
    """One layer."""

    attention_norm: np.ndarray  # f32 (E,)
    query: Projection  # (H*D, E), halves of a head's turning dimensions side by side
    key: Projection  # (K*D, E), likewise
    value: Projection  # (K*D, E)
    attention_out: Projection  # (E, H*D)
    query_norm: np.ndarray | None  # f32 (D,)
    key_norm: np.ndarray | None  # f32 (D,)
    mlp_norm: np.ndarray  # f32 (E,)
    gate: Projection  # (F, E)
    up: Projection  # (F, E)
    down: Projection  # (E, F)
    has_positions: bool = True

    def projections(self) -> list[Projection]:
        """Return the layer's linear operations in order."""
        return [self.query, self.key, self.value, self.attention_out, self.gate, self.up, self.down]


@dataclass(frozen=True, eq=False)
class Llama:
    """A whole model."""

    sizes: Sizes
    epsilon: float  # of RMSNorm
    rope: Rope
    token_embedding: Weights  # (V, E)
    layers: list[LlamaLayer]
    final_norm: np.ndarray  # f32 (E,)
    head: Weights  # (V, E); the very object that the token embedding is, where they are tied

    @property
    def is_tied(self) -> bool:
        """Whether the head is the token embedding."""
        return self.head is self.token_embedding

    def matrices(self) -> list[Weights]:
        """Return all matrices, a shared one once."""
        of_layers = [projection.weights for layer in self.layers for projection in layer.projections()]
        return [self.token_embedding, *of_layers, *([] if self.is_tied else [self.head])]


def plain_rope(width: int, base: float) -> Rope:
    """Return positions of which `width` dimensions turn, dimension pair i by base^(-2i/width) a
    position.
    """
    return Rope(base ** (-np.arange(0, width, 2, dtype=np.float64) / width))


def linear_rope(rope: Rope, factor: float) -> Rope:
    """Turn slower by a factor (position interpolation, Chen et al., 2023)."""
    return Rope(rope.frequencies / factor, rope.magnitude)


def llama3_rope(rope: Rope, factor: float, low: float, high: float, original: int) -> Rope:
    """Turn slower by a factor where a turn takes long, as Llama 3.1 does.

    Pairs that turn fewer than `low` times within the original context are slowed in full, those
    that turn more than `high` times not at all, those between in part.
    """
    turns = original * rope.frequencies / (2 * math.pi)
    share = np.clip((turns - low) / (high - low), 0, 1)
    return Rope(rope.frequencies * (share + (1 - share) / factor), rope.magnitude)


def yarn_rope(
    rope: Rope, base: float, factor: float, original: int, fast: float = 32, slow: float = 1, magnitude: float | None = None
) -> Rope:
    """Turn slower by a factor from some dimension on and larger (YaRN, Peng et al., 2023).

    The ramp goes from the pair that turns `fast` times within the original context to the one that
    turns `slow` times.
    """
    width = 2 * len(rope.frequencies)

    def pair(turns: float) -> float:
        return width * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(base))

    start, stop = max(math.floor(pair(fast)), 0), min(math.ceil(pair(slow)), width - 1)
    ramp = np.clip((np.arange(width // 2) - start) / max(stop - start, 0.001), 0, 1)
    slowed = rope.frequencies / factor * ramp + rope.frequencies * (1 - ramp)
    return Rope(slowed, 0.1 * math.log(factor) + 1 if magnitude is None and factor > 1 else magnitude or 1.0)
