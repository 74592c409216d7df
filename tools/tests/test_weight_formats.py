"""Exports are served with their weights in every format that optimum-intel writes, as their own
graphs compute them.

The formats are made here from one export in f32, as NNCF writes them: integers, converted to f16,
perhaps less a zero point of the same type, times a scale in f16, reshaped where there are groups,
converted to f32. With 4 bits embedding and head have 8.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov
import openvino.opset13 as opset
import pytest
from conftest import FIXTURES
from openvino import Node, Shape, Tensor, Type

from carafe_tools.comparison import RELATIVE_LIMIT
from carafe_tools.exported import GRAPH, read_exported
from carafe_tools.zoo import ARCHIVE, measure_against, source_logits, unpack

pytestmark = pytest.mark.openvino

TOKENS = np.random.default_rng(11).integers(0, 512, 96, np.int32)
TYPES = {(4, True): Type.i4, (4, False): Type.u4, (8, True): Type.i8, (8, False): Type.u8}


@dataclass(frozen=True)
class Integers:
    """Weights as integers, a scale for each row or for each group of some neighbours in it."""

    bits: int
    is_symmetric: bool
    group: int | None = None

    def node(self, matrix: np.ndarray) -> Node:
        """Return the f32 matrix as NNCF decompresses it."""
        is_grouped = self.group is not None and matrix.shape[1] % self.group == 0
        grouped = matrix.reshape(len(matrix), -1, self.group) if is_grouped else matrix
        low, high = (-(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1) if self.is_symmetric else (0, 2**self.bits - 1)
        smallest, largest = grouped.min(-1, keepdims=True), grouped.max(-1, keepdims=True)
        if self.is_symmetric:
            scales, zero_points = np.maximum(-smallest, largest) / -low, np.zeros_like(smallest)
        else:
            scales = (largest - smallest) / high
            zero_points = np.round(-smallest / scales).clip(low, high)
        integers = np.round(grouped / scales + zero_points).clip(low, high)
        weights = opset.convert(self._constant(integers), "f16")
        if not self.is_symmetric:
            weights = opset.subtract(weights, opset.convert(self._constant(zero_points), "f16"))
        weights = opset.multiply(weights, opset.constant(scales.astype(np.float16)))
        if is_grouped:
            weights = opset.reshape(weights, opset.constant(np.array(matrix.shape, np.int64)), False)
        return opset.convert(weights, "f32")

    def _constant(self, integers: np.ndarray) -> Node:
        values = integers.astype(np.int16).astype(np.uint8)
        if self.bits == 4:
            values = values.reshape(-1) & 15
            values = np.append(values, np.zeros(len(values) % 2, np.uint8))
            values = values[::2] | (values[1::2] << 4)
        tensor = Tensor(TYPES[self.bits, self.is_symmetric], Shape(integers.shape))
        data = tensor.data.reshape(-1)
        data[...] = values.reshape(-1).view(data.dtype)
        return ov.op.Constant(tensor)


@dataclass(frozen=True)
class Reals:
    """Weights as shorter real numbers."""

    kind: Type

    @property
    def bits(self) -> int:
        """Bits of a weight."""
        return self.kind.bitwidth

    def node(self, matrix: np.ndarray) -> Node:
        """Return the f32 matrix as a shorter one, converted."""
        tensor = Tensor(self.kind, Shape(matrix.shape))
        bits = matrix.astype(np.float16).view(np.uint16) if self.kind == Type.f16 else matrix.view(np.uint32) >> 16
        tensor.data.view(np.uint16)[...] = bits
        return opset.convert(ov.op.Constant(tensor), "f32")


BACKUP = Integers(8, is_symmetric=False)
FORMATS = {
    "f16": Reals(Type.f16),
    "bf16": Reals(Type.bf16),
    "int8, asymmetric, by row": BACKUP,
    "int8, symmetric, by row": Integers(8, is_symmetric=True),
    "int8, symmetric, groups of 32": Integers(8, is_symmetric=True, group=32),
    "int4, symmetric, by row": Integers(4, is_symmetric=True),
    "int4, symmetric, groups of 64": Integers(4, is_symmetric=True, group=64),
    "int4, symmetric, groups of 128": Integers(4, is_symmetric=True, group=128),
    "int4, asymmetric, by row": Integers(4, is_symmetric=False),
    "int4, asymmetric, groups of 32": Integers(4, is_symmetric=False, group=32),
    "int4, asymmetric, groups of 128": Integers(4, is_symmetric=False, group=128),
}


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(FIXTURES / ARCHIVE, tmp_path_factory.mktemp("zoo"))["llama"]


def in_format(source: Path, target: Path, weights: Integers | Reals) -> Path:
    """Write a copy of an export whose matrices are in another format, and return its folder."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("openvino_model.*"))
    graph = ov.Core().read_model(source / GRAPH)
    matrices = [node for node in graph.get_ordered_ops() if node.get_type_name() == "Constant" and is_matrix(node)]
    for constant in matrices:
        matrix = np.array(constant.get_data())
        is_table = len(matrix) == 512
        node = (BACKUP if is_table and weights.bits == 4 else weights).node(matrix)
        constant.output(0).replace(node.output(0))
    assert len(matrices) >= 2 + 7
    graph.validate_nodes_and_infer_types()
    ov.save_model(graph, target / GRAPH, compress_to_fp16=False)
    return target


def is_matrix(node: Node) -> bool:
    shape = list(node.get_output_shape(0))
    return len(shape) == 2 and min(shape) > 1 and node.get_element_type() == Type.f32


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_has_the_logits_of_its_own_graph_whatever_its_weights_are_in(name: str, export: Path, tmp_path: Path) -> None:
    folder = in_format(export, tmp_path / "export", FORMATS[name])
    found = measure_against(read_exported(folder), TOKENS, source_logits(folder, TOKENS))
    assert found.weight_bits == FORMATS[name].bits
    assert found.largest > 1
    assert max(found.whole, found.stepwise, found.stateful) <= RELATIVE_LIMIT * found.largest
