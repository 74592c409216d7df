"""Groups whose zero points are made integers are the same weights, and the graph multiplies by
them.
"""

import numpy as np
import openvino as ov
import openvino.opset13 as opset
import pytest

from carafe_tools.decoder_parts import MatrixNode
from carafe_tools.environment import compile_model
from carafe_tools.gpt2 import Real
from carafe_tools.grouped import Grouped
from carafe_tools.rounding import INTEGER_ZERO_POINTS, rounded_matrix
from carafe_tools.stored_weights import Form, Weights
from carafe_tools.zero_points import split

SIZE = 32
# of what is left of the zero points of 32 groups, the largest: what the last digit can be wrong by
LAST_DIGIT = {4: 1 / 196, 8: 1 / 254}


def groups(bits: int, columns: int, rows: int = 5) -> Grouped:
    """Random groups, some of which lie wholly on one side of 0."""
    generator = np.random.default_rng(columns)
    values = generator.integers(0, 1 << bits, (rows, columns), np.uint8)
    scales = generator.random((rows, columns // SIZE), np.float32) + np.float32(0.1)
    zero_points = generator.uniform(-3, (1 << bits) + 3, scales.shape).astype(np.float32)
    return Grouped(values, bits, scales, zero_points)


def left(matrix: Grouped) -> np.ndarray:
    """What rounding leaves of each zero point, in weights."""
    whole = np.clip(np.round(matrix.zero_points), 0, (1 << matrix.bits) - 1)
    return np.abs(whole - matrix.zero_points) * matrix.scales


@pytest.mark.parametrize("columns", [32, 96, 32 * 33])
@pytest.mark.parametrize("bits", [4, 8])
def test_a_weight_changes_by_the_last_digit_alone(bits: int, columns: int) -> None:
    matrix = groups(bits, columns)
    found = split(matrix)
    assert (found.shape, found.wide.zero_points.dtype) == (matrix.shape, np.uint8)
    error = np.abs(found.dequantised(np.float64) - matrix.dequantised(np.float64))
    bound = left(matrix).max(1, keepdims=True) * LAST_DIGIT[bits]
    assert (error <= bound + 1e-6).all()
    assert left(matrix).max() > 100 * error.max()


@pytest.mark.openvino
@pytest.mark.parametrize("columns", [96, 32 * 33])
@pytest.mark.parametrize("bits", [4, 8])
def test_the_graph_multiplies_by_the_weights_that_they_stand_for(bits: int, columns: int) -> None:
    parts = [split(groups(bits, columns, rows)) for rows in (5, 8)]
    hidden = np.random.default_rng(1).standard_normal((2, 3, columns), np.float32)
    parameter = opset.parameter(ov.PartialShape([-1, -1, columns]), ov.Type.f32)
    graph = ov.Model([MatrixNode(*parts).product(parameter)], [parameter])
    found = compile_model(graph, "exact")([hidden])[0]
    expected = hidden @ np.concatenate([part.dequantised(np.float64) for part in parts]).T
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def stored(form: Form) -> Weights:
    return Weights(form.shape, form.rows, 4)


def test_tables_and_matrices_without_real_zero_points_stay_as_they_are() -> None:
    symmetric = Grouped(np.zeros((2, SIZE), np.int8), 4, np.ones((2, 1), np.float32))
    for form in (symmetric, Real(np.ones((2, SIZE), np.float32))):
        read = rounded_matrix(stored(form), INTEGER_ZERO_POINTS, is_table=False).read(slice(0, 2))
        np.testing.assert_array_equal(read.dequantised(), form.dequantised())
        assert type(read) is type(form)
    table = stored(groups(4, SIZE))
    assert rounded_matrix(table, INTEGER_ZERO_POINTS, is_table=True) is table
