"""Builds the text graph: GPT-2 as a stateful OpenVINO model with a KV cache, every tensor i32, f32 or smaller.

Goes in: a `Gpt2`. Comes out: an `ov.Model` with i32 inputs `input_ids [B,S]`, `position_ids [B,S]`, `attention_mask [B,P+S]`,
`beam_idx [B]`, `logit_idx [N]` and the f32 output `logits [N,V]`. B rows take S positions a step, P positions are cached.

The cache is ReadValue -> Gather(beam_idx) -> Concat -> {ScaledDotProductAttention, Assign}, the pattern that the CPU
plugin fuses. Matrices stay the source's int8 bytes: Constant -> Convert -> Multiply(scales); embedding and a tied head share
one constant, of which the embedding gathers rows before it converts them.
"""

import math
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as opset
from openvino import Node, PartialShape, Type

from carafe_tools.gpt2 import Gpt2, Layer, Linear, Norm, Quantised, Real

# added to a masked score; finite, so that a row with nothing to attend to is an average and not NaN
MASKED = float(np.finfo(np.float32).min)
INPUTS = {"input_ids": 2, "position_ids": 2, "attention_mask": 2, "beam_idx": 1, "logit_idx": 1}  # name: rank
OUTPUT = "logits"


def _integers(*values: int) -> Node:
    return opset.constant(np.array(values, np.int32))


def _integer(value: int) -> Node:
    return opset.constant(np.int32(value))


def _real(values: Any) -> Node:
    return opset.constant(np.asarray(values, np.float32))


def _dimension(node: Any, axis: int) -> Node:
    """Return one dimension of a tensor as i32 [1]."""
    return opset.gather(opset.shape_of(node, output_type="i32"), _integers(axis), _integer(0))


def _arange(start: Node, stop: Node) -> Node:
    return opset.range(start, stop, _integer(1), output_type="i32")


class _Matrix:
    """An int8 constant with its scales, whose rows are gathered, or by which something is multiplied, or both."""

    def __init__(self, matrix: Quantised) -> None:
        self.constant = ov.op.Constant(np.ascontiguousarray(matrix.values))
        self.matrix = matrix

    def rows(self, indices: Node) -> Node:
        """Gather rows of the table, then make real numbers of those alone."""
        rows = opset.convert(opset.gather(self.constant, indices, _integer(0)), "f32")
        scales = _real(self.matrix.scales[:, None])
        return opset.multiply(rows, opset.gather(scales, indices, _integer(0)) if self.matrix.is_per_row else _real(self.scale))

    def product(self, hidden: Node) -> Node:
        """Multiply by the transposed matrix, which is (out, in)."""
        weight = opset.multiply(opset.convert(self.constant, "f32"), _real(self.matrix.scales[:, None]))
        return opset.matmul(hidden, weight, False, True)

    @property
    def scale(self) -> np.float32:
        return self.matrix.scales[0]


def _rows(table: Quantised | Real, indices: Node) -> Node:
    if isinstance(table, Quantised):
        return _Matrix(table).rows(indices)
    return opset.gather(_real(table.values), indices, _integer(0))


def _linear(hidden: Node, linear: Linear) -> Node:
    return opset.add(_Matrix(linear.weight).product(hidden), _real(linear.bias.reshape(1, 1, -1)))


def _normalised(hidden: Node, norm: Norm) -> Node:
    centred = opset.mvn(hidden, _integers(-1), True, norm.epsilon, "inside_sqrt")
    last = [1] * (len(hidden.get_output_partial_shape(0)) - 1) + [-1]
    return opset.add(opset.multiply(centred, _real(norm.gamma.reshape(last))), _real(norm.beta.reshape(last)))


class _Builder:
    def __init__(self, model: Gpt2) -> None:
        self.model = model
        self.size = model.dimensions
        self.inputs = {name: self._input(name, rank) for name, rank in INPUTS.items()}
        self.assigns: list[Node] = []
        self.mask: Node | None = None

    def build(self) -> ov.Model:
        tokens = _Matrix(self.model.token_embedding)
        head = tokens if self.model.is_tied else _Matrix(self.model.head)
        positions = _rows(self.model.position_embedding, self.inputs["position_ids"])
        hidden = opset.add(tokens.rows(self.inputs["input_ids"]), positions)  # (B, S, E)
        for index, layer in enumerate(self.model.layers):
            hidden = self._layer(hidden, index, layer)
        wanted = opset.gather(self._flat(hidden), self.inputs["logit_idx"], _integer(0))  # (N, E)
        logits = head.product(_normalised(wanted, self.model.final_norm))  # (N, V)
        logits.output(0).set_names({OUTPUT})
        result = opset.result(logits)
        return ov.Model([result], self.assigns, list(self.inputs.values()), "gpt2")

    def _input(self, name: str, rank: int) -> Node:
        parameter = opset.parameter(PartialShape([-1] * rank), Type.i32, name=name)
        parameter.output(0).set_names({name})
        return parameter

    def _flat(self, hidden: Node) -> Node:
        return opset.reshape(hidden, _integers(-1, self.size.width), False)  # (B*S, E)

    def _layer(self, hidden: Node, index: int, layer: Layer) -> Node:
        attended = self._attention(_normalised(hidden, layer.attention_norm), index, layer)
        hidden = opset.add(hidden, _linear(attended, layer.attention_out))
        inner = opset.gelu(_linear(_normalised(hidden, layer.mlp_norm), layer.mlp_in), "tanh")
        return opset.add(hidden, _linear(inner, layer.mlp_out))

    def _attention(self, hidden: Node, index: int, layer: Layer) -> Node:
        joined = _linear(hidden, layer.attention_in)  # (B, S, 3E)
        parts = opset.split(joined, _integer(2), 3).outputs()
        query, key, value = (self._heads(part) for part in parts)  # (B, H, S, D)
        past_key, past_value = self._past(f"layer.{index}.key"), self._past(f"layer.{index}.value")
        if self.mask is None:
            self.mask = self._mask(past_key[1])
        keys, values = self._extended(past_key, key), self._extended(past_value, value)  # (B, H, P+S, D)
        scale = _real(1 / math.sqrt(self.size.head_width))
        mixed = opset.scaled_dot_product_attention(query, keys, values, self.mask, scale, causal=False)
        return opset.reshape(opset.transpose(mixed, _integers(0, 2, 1, 3)), _integers(0, 0, self.size.width), True)

    def _heads(self, part: Any) -> Node:
        split = opset.reshape(part, _integers(0, 0, self.size.heads, self.size.head_width), True)
        return opset.transpose(split, _integers(0, 2, 1, 3))

    def _past(self, name: str) -> tuple[str, Node]:
        """Return a state's name and its rows as `beam_idx` orders them, empty at a context's first step."""
        H, D = self.size.heads, self.size.head_width
        batch = _dimension(self.inputs["input_ids"], 0)
        empty = opset.broadcast(_real(0), opset.concat([batch, _integers(H, 0, D)], 0))
        state = opset.read_value(empty, name, Type.f32, PartialShape([-1, H, -1, D]))
        return name, opset.gather(state, self.inputs["beam_idx"], _integer(0))

    def _extended(self, past: tuple[str, Node], new: Node) -> Node:
        name, rows = past
        extended = opset.concat([rows, new], 2)
        self.assigns.append(opset.assign(extended, name))
        return extended

    def _mask(self, past: Node) -> Node:
        """Return what is added to the scores, (B, 1, S, P+S): nothing where a position may attend, `MASKED` elsewhere.

        A position attends to itself and to earlier ones, where the attention mask is 1. P is the length of a state and not
        taken from the mask's own width: a mask of another width must not decide how much is read.
        """
        length = opset.squeeze(_dimension(past, 2), _integer(0))
        total = opset.add(length, opset.squeeze(_dimension(self.inputs["input_ids"], 1), _integer(0)))
        queries = opset.unsqueeze(_arange(length, total), _integer(1))  # (S, 1)
        keys = opset.unsqueeze(_arange(_integer(0), total), _integer(0))  # (1, P+S)
        causal = opset.unsqueeze(opset.less_equal(keys, queries), _integers(0, 1))
        present = opset.unsqueeze(opset.not_equal(self.inputs["attention_mask"], _integer(0)), _integers(1, 2))
        return opset.select(opset.logical_and(causal, present), _real(0), _real(MASKED))


def build_text_graph(model: Gpt2) -> ov.Model:
    """Return the stateful graph of a GPT-2."""
    return _Builder(model).build()
