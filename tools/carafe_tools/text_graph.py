"""Builds the text graph: GPT-2 as a stateful OpenVINO model with a KV cache, inputs and output as
`decoder_parts` has them.

Goes in: a `Gpt2`. Comes out: an `ov.Model`. Matrices stay the source's integers: Constant ->
Convert -> Multiply(scales); embedding and a tied head share one constant, of which the embedding
gathers rows before it converts them.
"""

import math

import openvino as ov
import openvino.opset13 as opset
from openvino import Node

from carafe_tools.decoder_parts import (
    INPUTS,
    OUTPUT,
    Cache,
    MatrixNode,
    finish,
    integer,
    integers,
    make_inputs,
    real,
    split_heads,
    wanted_rows,
)
from carafe_tools.gpt2 import Gpt2, Layer, Linear, Norm

__all__ = ["INPUTS", "OUTPUT", "build_text_graph"]


def _linear(hidden: Node, linear: Linear) -> Node:
    return opset.add(MatrixNode(linear.weight).product(hidden), real(linear.bias.reshape(1, 1, -1)))


def _normalised(hidden: Node, norm: Norm) -> Node:
    centred = opset.mvn(hidden, integers(-1), True, norm.epsilon, "inside_sqrt")
    last = [1] * (len(hidden.get_output_partial_shape(0)) - 1) + [-1]
    return opset.add(opset.multiply(centred, real(norm.gamma.reshape(last))), real(norm.beta.reshape(last)))


class _Builder:
    def __init__(self, model: Gpt2) -> None:
        self.model = model
        self.size = model.dimensions
        self.inputs = make_inputs()
        self.cache = Cache(self.inputs, self.size.heads, self.size.head_width)

    def build(self) -> ov.Model:
        tokens = MatrixNode(self.model.token_embedding)
        head = tokens if self.model.is_tied else MatrixNode(self.model.head)
        positions = MatrixNode(self.model.position_embedding).rows(self.inputs["position_ids"])
        hidden = opset.add(tokens.rows(self.inputs["input_ids"]), positions)  # (B, S, E)
        for index, layer in enumerate(self.model.layers):
            hidden = self._layer(hidden, index, layer)
        wanted = wanted_rows(hidden, self.inputs, self.size.width)  # (N, E)
        logits = head.product(_normalised(wanted, self.model.final_norm))  # (N, V)
        return finish(logits, self.cache, self.inputs, "gpt2")

    def _layer(self, hidden: Node, index: int, layer: Layer) -> Node:
        attended = self._attention(_normalised(hidden, layer.attention_norm), index, layer)
        hidden = opset.add(hidden, _linear(attended, layer.attention_out))
        inner = opset.gelu(_linear(_normalised(hidden, layer.mlp_norm), layer.mlp_in), "tanh")
        return opset.add(hidden, _linear(inner, layer.mlp_out))

    def _attention(self, hidden: Node, index: int, layer: Layer) -> Node:
        H, D = self.size.heads, self.size.head_width
        joined = _linear(hidden, layer.attention_in)  # (B, S, 3E)
        parts = opset.split(joined, integer(2), 3).outputs()
        query, key, value = (split_heads(part, H, D) for part in parts)  # (B, H, S, D)
        keys = self.cache.extended(f"layer.{index}.key", key)  # (B, H, P+S, D)
        values = self.cache.extended(f"layer.{index}.value", value)
        mixed = opset.scaled_dot_product_attention(query, keys, values, self.cache.mask, real(1 / math.sqrt(D)), causal=False)
        return opset.reshape(opset.transpose(mixed, integers(0, 2, 1, 3)), integers(0, 0, self.size.width), True)


def build_text_graph(model: Gpt2) -> ov.Model:
    """Return the stateful graph of a GPT-2."""
    return _Builder(model).build()
