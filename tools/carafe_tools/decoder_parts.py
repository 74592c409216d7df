"""The parts of a decoder's graph that all builders share: inputs, weights, the KV cache and its
mask.

The inputs are i32: `input_ids [B,S]`, `position_ids [B,S]`, `attention_mask [B,P+S]`, `beam_idx
[B]`, `logit_idx [N]`; the output is f32 `logits [N,V]`. B rows take S positions a step, P positions
are cached. No tensor is wider than 32 bits.

The cache is ReadValue -> Gather(beam_idx) -> Concat -> {ScaledDotProductAttention, Assign}, the
pattern that the CPU plugin fuses and that OpenVINO's paging pass looks for. What is between inputs
and cache is a builder's own.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as opset
from openvino import Node, PartialShape, Type

from carafe_tools.gpt2 import Quantised, Real
from carafe_tools.grouped import Grouped, pack
from carafe_tools.stored_weights import Form, Weights
from carafe_tools.zero_points import SplitGroups

# added to a masked score; finite, so that a row with nothing to attend to is an average and not NaN
MASKED = float(np.finfo(np.float32).min)
# name: rank
INPUTS = {"input_ids": 2, "position_ids": 2, "attention_mask": 2, "beam_idx": 1, "logit_idx": 1}
OUTPUT = "logits"
# OpenVINO's types of the integers of groups: by bits and numpy's type
INTEGERS = {(4, "|u1"): Type.u4, (4, "|i1"): Type.i4, (8, "|u1"): Type.u8, (8, "|i1"): Type.i8}


def integers(*values: int) -> Node:
    """Return a constant i32 vector."""
    return opset.constant(np.array(values, np.int32))


def integer(value: int) -> Node:
    """Return a constant i32 scalar."""
    return opset.constant(np.int32(value))


def real(values: Any) -> Node:
    """Return a constant of f32."""
    return opset.constant(np.asarray(values, np.float32))


def dimension(node: Any, axis: int) -> Node:
    """Return one dimension of a tensor as i32 [1]."""
    return opset.gather(opset.shape_of(node, output_type="i32"), integers(axis), integer(0))


def make_inputs() -> dict[str, Node]:
    """Return the inputs of a decoder by name."""
    return {name: _input(name, rank) for name, rank in INPUTS.items()}


def _input(name: str, rank: int) -> Node:
    parameter = opset.parameter(PartialShape([-1] * rank), Type.i32, name=name)
    parameter.output(0).set_names({name})
    return parameter


class MatrixNode:
    """Constant weights in the form of their source: a table, a matrix to multiply by, or both.

    One constant serves both uses, with the scales that make real numbers of it. Several matrices of
    one kind are one above the other. One with split zero points is no table.
    """

    def __init__(self, *matrices: Form | Weights) -> None:
        self._integers: Node | None = None  # of 8 bits by row or by matrix, to gather rows of
        self._scales = np.empty(0, np.float32)
        pieces = _Pieces(matrices)
        self._split = pieces.split
        self._weights = self._dequantised(pieces)  # (out, in)

    def rows(self, indices: Node) -> Node:
        """Gather rows of the table; the plugin makes real numbers of those alone."""
        if self._integers is None:
            return opset.gather(self._weights, indices, integer(0))
        rows = opset.convert(opset.gather(self._integers, indices, integer(0)), "f32")
        if self._scales.size == 1:
            return opset.multiply(rows, real(self._scales[0]))
        return opset.multiply(rows, opset.gather(real(self._scales[:, None]), indices, integer(0)))

    def product(self, hidden: Node) -> Node:
        """Multiply by the transposed matrix, which is (out, in)."""
        inputs = hidden if self._split is None else _with_sums(hidden, self._split)
        return opset.matmul(inputs, self._weights, False, True)

    def _dequantised(self, pieces: "_Pieces") -> Node:
        if isinstance(pieces.first, Real):
            return _stored_real(pieces)
        if isinstance(pieces.first, Grouped):
            return _dequantised_groups(pieces)
        self._integers = pieces.constant(Type.i8, list(pieces.shape), lambda piece: piece.values)
        self._scales = pieces.joined("scales") if pieces.first.is_per_row else pieces.first.scales
        return opset.multiply(opset.convert(self._integers, "f32"), real(self._scales[:, None]))


class _Pieces:
    """Matrices in ranges of their rows, of which memory holds one beside the constant that is
    filled.
    """

    def __init__(self, matrices: Sequence[Form | Weights]) -> None:
        pieces = chain.from_iterable(one.pieces() if isinstance(one, Weights) else [one] for one in matrices)
        first = next(pieces)
        self.split = first if isinstance(first, SplitGroups) else None
        self.first = _stored(first)
        self.shape = sum(matrix.shape[0] for matrix in matrices), self.first.shape[1]
        self._rest = map(_stored, pieces)
        self._vectors: dict[str, list[np.ndarray]] = {"scales": [], "zero_points": []}

    def constant(self, kind: Type, shape: list[int], data: Callable[[Any], np.ndarray]) -> Node:
        """Return a constant of the bytes that `data` makes of each piece; scales are kept on the
        way.
        """
        tensor = ov.Tensor(kind, ov.Shape(shape))
        target, start = tensor.data.reshape(-1).view(np.uint8), 0
        for piece in chain([self.first], self._rest):
            values = np.ascontiguousarray(data(piece)).reshape(-1).view(np.uint8)
            target[start : start + len(values)] = values
            start += len(values)
            for name, found in self._vectors.items():
                found.append(getattr(piece, name, None))
        return ov.op.Constant(tensor)

    def joined(self, name: str) -> np.ndarray:
        """Return the scales or the zero points of all rows."""
        return np.concatenate(self._vectors[name])


def _stored(piece: Form) -> Quantised | Grouped | Real:
    return piece.wide if isinstance(piece, SplitGroups) else piece


def _with_sums(hidden: Node, split: SplitGroups) -> Node:
    """Return inputs (…, in) with the sums of their groups behind them, once for each digit."""
    leading = [0] * (len(hidden.get_output_partial_shape(0)) - 1)
    grouped = opset.reshape(hidden, integers(*leading, split.groups, -1), True)
    sums = opset.reduce_sum(grouped, integers(-1), False)
    if split.columns > split.groups:
        sums = opset.pad(sums, integers(*leading, 0), integers(*leading, split.columns - split.groups), "constant", real(0))
    return opset.concat([hidden, *[sums] * split.digits], -1)


def _stored_real(pieces: _Pieces) -> Node:
    """Return real weights: f32, f16, or the bits of bfloat16, as u16."""
    kinds = {np.dtype(np.float32): Type.f32, np.dtype(np.float16): Type.f16, np.dtype(np.uint16): Type.bf16}
    kind = kinds[pieces.first.values.dtype]
    constant = pieces.constant(kind, list(pieces.shape), lambda piece: piece.values)
    return constant if kind == Type.f32 else opset.convert(constant, "f32")


def _dequantised_groups(pieces: _Pieces) -> Node:
    """Return (quantised - zero point) * scale of each group, reshaped to (out, in).

    Scales are f32 though most blocks hold them in f16: the plugin would make f32 of these as well,
    and keep the result beside the form that it packs for its kernels, two bits more of memory for
    each weight. What it need not convert stays in the file.
    """
    rows, columns = pieces.shape
    first, groups = pieces.first, pieces.first.scales.shape[1]
    kind = INTEGERS[first.bits, first.values.dtype.str]
    weights = opset.convert(pieces.constant(kind, [rows, groups, first.size], Grouped.packed), "f32")
    if first.zero_points is not None:
        zero_points = pieces.joined("zero_points")[..., None]
        weights = opset.subtract(weights, real(zero_points) if first.has_real_zero_points else _integers(kind, zero_points))
    weights = opset.multiply(weights, real(pieces.joined("scales")[..., None]))
    return opset.reshape(weights, integers(rows, columns), False)


def _integers(kind: Type, values: np.ndarray) -> Node:
    """Return integers of a type of OpenVINO's as f32."""
    tensor = ov.Tensor(kind, ov.Shape(values.shape))
    tensor.data.reshape(-1).view(np.uint8)[:] = pack(values, 4 if kind == Type.u4 else 8)
    return opset.convert(ov.op.Constant(tensor), "f32")


class Cache:
    """The states of keys and values of all layers, and who may attend to whom."""

    def __init__(self, inputs: dict[str, Node], heads: int, head_width: int) -> None:
        self.inputs = inputs
        self.heads, self.head_width = heads, head_width
        self.assigns: list[Node] = []
        self._mask: Node | None = None

    def extended(self, name: str, new: Node) -> Node:
        """Return all that a state holds, as `beam_idx` orders it, with new keys or values behind,
        (B, H, P+S, D).
        """
        H, D = self.heads, self.head_width
        batch = dimension(self.inputs["input_ids"], 0)
        empty = opset.broadcast(real(0), opset.concat([batch, integers(H, 0, D)], 0))
        state = opset.read_value(empty, name, Type.f32, PartialShape([-1, H, -1, D]))
        rows = opset.gather(state, self.inputs["beam_idx"], integer(0))
        if self._mask is None:
            self._mask = self._new_mask(rows)
        extended = opset.concat([rows, new], 2)
        self.assigns.append(opset.assign(extended, name))
        return extended

    @property
    def mask(self) -> Node:
        """What is added to the scores, (B, 1, S, P+S): nothing where a position may attend,
        `MASKED` elsewhere.
        """
        assert self._mask is not None, "a state must be read before its mask is used"
        return self._mask

    def _new_mask(self, past: Node) -> Node:
        """Return the mask.

        A position attends to itself and to earlier ones, where the attention mask is 1. P is the
        length of a state and not taken from the mask's own width: a mask of another width must not
        decide how much is read.
        """
        length = opset.squeeze(dimension(past, 2), integer(0))
        total = opset.add(length, opset.squeeze(dimension(self.inputs["input_ids"], 1), integer(0)))
        queries = opset.unsqueeze(_arange(length, total), integer(1))  # (S, 1)
        keys = opset.unsqueeze(_arange(integer(0), total), integer(0))  # (1, P+S)
        causal = opset.unsqueeze(opset.less_equal(keys, queries), integers(0, 1))
        present = opset.unsqueeze(opset.not_equal(self.inputs["attention_mask"], integer(0)), integers(1, 2))
        return opset.select(opset.logical_and(causal, present), real(0), real(MASKED))


def _arange(start: Node, stop: Node) -> Node:
    return opset.range(start, stop, integer(1), output_type="i32")


def split_heads(part: Any, heads: int, head_width: int) -> Node:
    """Reshape (B, S, H*D) to (B, H, S, D)."""
    split = opset.reshape(part, integers(0, 0, heads, head_width), True)
    return opset.transpose(split, integers(0, 2, 1, 3))


def wanted_rows(hidden: Node, inputs: dict[str, Node], width: int) -> Node:
    """Gather the rows whose logits are asked for, (N, E), so that the head computes no others."""
    flat = opset.reshape(hidden, integers(-1, width), False)  # (B*S, E)
    return opset.gather(flat, inputs["logit_idx"], integer(0))


def finish(logits: Node, cache: Cache, inputs: dict[str, Node], name: str) -> ov.Model:
    """Return the model whose output are the logits."""
    logits.output(0).set_names({OUTPUT})
    return ov.Model([opset.result(logits)], cache.assigns, list(inputs.values()), name)
