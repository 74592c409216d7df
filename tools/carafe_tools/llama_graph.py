"""Builds the graph of a model of the llama kind: stateful, with a KV cache, inputs and output as
`decoder_parts` has them.

Goes in: a `Llama`. Comes out: an `ov.Model`, whose weights are in the form that the source has
them: integers in groups stay integers. They are read one matrix at a time; the graph's constants
are all that memory keeps of them.
"""

import math
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as opset
from openvino import Node

from carafe_tools.decoder_parts import (
    Cache,
    MatrixNode,
    dimension,
    finish,
    integer,
    integers,
    make_inputs,
    real,
    split_heads,
    wanted_rows,
)
from carafe_tools.llama import Llama, LlamaLayer, Projection, Rope
from carafe_tools.stored_weights import kind

SPAN = 256  # positions of the fine table of angles


def build_llama_graph(model: Llama) -> ov.Model:
    """Return the stateful graph of a model."""
    return _Builder(model).build()


class _Builder:
    def __init__(self, model: Llama) -> None:
        self.model = model
        self.size = model.sizes
        self.inputs = make_inputs()
        self.cache = Cache(self.inputs, self.size.kv_heads, self.size.head_width)
        self.cosines, self.sines = _angles(self.inputs["position_ids"], model.rope, self.size.context_length)

    def build(self) -> ov.Model:
        tokens = MatrixNode(self.model.token_embedding)
        hidden = tokens.rows(self.inputs["input_ids"])  # (B, S, E)
        for index, layer in enumerate(self.model.layers):
            hidden = self._layer(hidden, index, layer)
        head = tokens if self.model.is_tied else MatrixNode(self.model.head)
        wanted = wanted_rows(hidden, self.inputs, self.size.width)  # (N, E)
        logits = head.product(self._normalised(wanted, self.model.final_norm))  # (N, V)
        return finish(logits, self.cache, self.inputs, "llama")

    def _layer(self, hidden: Node, index: int, layer: LlamaLayer) -> Node:
        hidden = opset.add(hidden, self._attention(self._normalised(hidden, layer.attention_norm), index, layer))
        normalised = self._normalised(hidden, layer.mlp_norm)
        gate, up = _projected(normalised, layer.gate, layer.up)  # (B, S, F)
        return opset.add(hidden, *_projected(opset.multiply(opset.swish(gate), up), layer.down))

    def _attention(self, hidden: Node, index: int, layer: LlamaLayer) -> Node:
        H, K, D = self.size.heads, self.size.kv_heads, self.size.head_width
        projected = _projected(hidden, layer.query, layer.key, layer.value)
        query, key, value = (split_heads(part, heads, D) for part, heads in zip(projected, (H, K, K), strict=True))
        if layer.query_norm is not None:
            query = self._normalised(query, layer.query_norm)
        if layer.key_norm is not None:
            key = self._normalised(key, layer.key_norm)
        if layer.has_positions:
            query, key = self._turned(query), self._turned(key)
        keys = self._repeated(self.cache.extended(f"layer.{index}.key", key))  # (B, H, P+S, D)
        values = self._repeated(self.cache.extended(f"layer.{index}.value", value))
        mixed = opset.scaled_dot_product_attention(query, keys, values, self.cache.mask, real(1 / math.sqrt(D)), causal=False)
        joined = opset.reshape(opset.transpose(mixed, integers(0, 2, 1, 3)), integers(0, 0, H * D), True)
        return _projected(joined, layer.attention_out)[0]

    def _normalised(self, hidden: Node, gamma: np.ndarray) -> Node:
        """Divide by the root of the mean square of the last axis."""
        square = opset.reduce_mean(opset.power(hidden, real(2)), integers(-1), True)
        inverse = opset.divide(real(1), opset.sqrt(opset.add(square, real(self.model.epsilon))))
        last = [1] * (len(hidden.get_output_partial_shape(0)) - 1) + [-1]
        return opset.multiply(real(gamma.reshape(last)), opset.multiply(hidden, inverse))

    def _turned(self, heads: Node) -> Node:
        """Turn the dimensions i and i + R/2 of each head by their angle; those behind R stay."""
        D, R = self.size.head_width, 2 * len(self.model.rope.frequencies)
        turning = heads if R == D else _part(heads, 0, R)
        across = opset.concat([opset.multiply(_part(turning, R // 2, R), real([[[[-1]]]])), _part(turning, 0, R // 2)], -1)
        turned = opset.add(opset.multiply(turning, self.cosines), opset.multiply(across, self.sines))
        return turned if R == D else opset.concat([turned, _part(heads, R, D)], -1)

    def _repeated(self, heads: Node) -> Node:
        """Repeat each head of keys or values for all the heads of queries that share it."""
        H, K, D = self.size.heads, self.size.kv_heads, self.size.head_width
        if H == K:
            return heads
        batch, length = dimension(heads, 0), dimension(heads, 2)
        shape = opset.concat([batch, integers(K, H // K), length, integers(D)], 0)
        repeated = opset.broadcast(opset.unsqueeze(heads, integer(2)), shape, broadcast_spec="BIDIRECTIONAL")
        return opset.reshape(repeated, integers(0, H, -1, D), True)


def _projected(hidden: Node, *projections: Projection) -> list[Any]:
    """Multiply by some matrices, those of one kind in one product.

    In a step of one token each product waits for all threads, so fewer are faster (5 to 8 % of
    SmolLM2's step).
    """
    found: dict[int, Any] = {}
    by_kind: dict[tuple[object, ...], list[int]] = {}
    for index, projection in enumerate(projections):
        by_kind.setdefault((*kind(projection.weights), projection.bias is None), []).append(index)
    for indices in by_kind.values():
        found |= zip(indices, _in_one_product(hidden, [projections[index] for index in indices]), strict=True)
    return [found[index] for index in range(len(projections))]


def _in_one_product(hidden: Node, projections: list[Projection]) -> list[Any]:
    """Multiply by matrices of one kind, all with a bias or all without."""
    product = MatrixNode(*(projection.weights for projection in projections)).product(hidden)
    if projections[0].bias is not None:
        product = opset.add(product, real(np.concatenate([projection.bias for projection in projections]).reshape(1, 1, -1)))
    if len(projections) == 1:
        return [product]
    rows = integers(*(projection.weights.shape[0] for projection in projections))
    return opset.variadic_split(product, integer(-1), rows).outputs()


def _part(heads: Node, start: int, stop: int) -> Node:
    """Return some of a head's dimensions, of (B, H, S, D); slices are what the plugin finds rotary
    positions by.
    """
    return opset.slice(heads, integers(start), integers(stop), integers(1), integers(3))


def _angles(positions: Node, rope: Rope, context_length: int) -> tuple[Node, Node]:
    """Return cosine and sine of each position's angles, (B, 1, S, R).

    A product of a late position and a frequency in f32 would be off by 1e-3 of a turn's radian. So
    both tables are computed in f64, one for each multiple of `SPAN` positions and one for what is
    left, and the angles are added by the addition theorems.
    """
    coarse = _table(rope, SPAN * np.arange(-(-context_length // SPAN)), rope.magnitude)
    fine = _table(rope, np.arange(SPAN), 1.0)
    span = integer(SPAN)
    high = opset.divide(positions, span)
    low = opset.subtract(positions, opset.multiply(high, span))
    (cos_high, sin_high), (cos_low, sin_low) = (_gathered(table, rows) for table, rows in ((coarse, high), (fine, low)))
    cosines = opset.subtract(opset.multiply(cos_high, cos_low), opset.multiply(sin_high, sin_low))
    sines = opset.add(opset.multiply(sin_high, cos_low), opset.multiply(cos_high, sin_low))
    return opset.unsqueeze(cosines, integer(1)), opset.unsqueeze(sines, integer(1))


def _table(rope: Rope, positions: np.ndarray, magnitude: float) -> tuple[np.ndarray, np.ndarray]:
    """Return cosines and sines f64 (positions, R), both halves alike."""
    angles = np.tile(positions[:, None] * rope.frequencies, 2)
    return np.cos(angles) * magnitude, np.sin(angles) * magnitude


def _gathered(table: tuple[np.ndarray, np.ndarray], rows: Node) -> tuple[Node, Node]:
    cosines, sines = (opset.gather(real(part), rows, integer(0)) for part in table)
    return cosines, sines
