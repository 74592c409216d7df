"""Narrowing makes every tensor at most 32 bits wide without changing a result, or refuses."""

import numpy as np
import openvino as ov
import openvino.opset13 as opset
import pytest
from openvino import PartialShape, Type

from carafe_tools.errors import ConversionError
from carafe_tools.narrow import narrow, remove_identity_fake_quantizes, require_narrow, wide_tensors

pytestmark = pytest.mark.openvino


def model_of(output: object, *parameters: object) -> ov.Model:
    """Return a model of one output."""
    return ov.Model([opset.result(output)], list(parameters), "test")


def run(model: ov.Model, *inputs: np.ndarray) -> np.ndarray:
    """Return the one output of a model."""
    return ov.Core().compile_model(model, "CPU").create_infer_request().infer(list(inputs))[0].copy()


def test_i64_constants_attributes_and_inputs_become_i32_and_the_result_stays() -> None:
    values = opset.parameter([2, 3], Type.f32, name="values")
    rows = opset.parameter([2], Type.i64, name="rows")
    shape = opset.shape_of(opset.gather(values, rows, opset.constant(np.int64(0))), output_type="i64")
    model = model_of(opset.reshape(opset.gather(values, rows, opset.constant(np.int64(0))), shape, False), values, rows)
    values_in, rows_in = np.arange(6, dtype=np.float32).reshape(2, 3), np.array([1, 0])
    before = run(model, values_in, rows_in)
    assert len(wide_tensors(model)) >= 3
    narrow(model)
    assert wide_tensors(model) == []
    np.testing.assert_array_equal(run(model, values_in, rows_in.astype(np.int32)), before)


def test_the_i64_that_means_to_the_end_becomes_the_largest_i32() -> None:
    values = opset.parameter([5], Type.f32, name="values")
    ends = [opset.constant(np.array([value], np.int64)) for value in (2, np.iinfo(np.int64).max, 1)]
    model = model_of(opset.slice(values, *ends), values)
    narrow(model)
    np.testing.assert_array_equal(run(model, np.arange(5, dtype=np.float32)), [2, 3, 4])


def test_a_constant_that_i32_cannot_hold_is_refused_by_name() -> None:
    constant = opset.constant(np.array([1 << 40], np.int64), name="big")
    constant.set_friendly_name("big")
    with pytest.raises(ConversionError, match="the int64 constant `big` has values that i32 cannot hold"):
        narrow(model_of(constant))


def test_an_f64_constant_that_f32_cannot_hold_is_refused_by_name() -> None:
    constant = opset.constant(np.array([0.1], np.float64))
    constant.set_friendly_name("tenth")
    with pytest.raises(ConversionError, match="the f64 constant `tenth` has values that f32 cannot hold"):
        narrow(model_of(constant))


def test_wide_tensors_in_the_body_of_a_condition_are_found_and_narrowed() -> None:
    condition = opset.parameter([], Type.boolean, name="condition")
    one, two = (ov.Model([opset.result(opset.constant(np.array([n], np.int64)))], [], "body") for n in (1, 2))
    choice = opset.if_op(condition)
    choice.set_then_body(one)
    choice.set_else_body(two)
    output = choice.set_output(one.get_results()[0], two.get_results()[0])
    model = model_of(output, condition)
    assert any("Constant" in line for line in wide_tensors(model))
    narrow(model)
    assert wide_tensors(model) == []


def test_a_wide_tensor_is_named_in_the_refusal() -> None:
    constant = opset.constant(np.array([1], np.int64))
    constant.set_friendly_name("axes")
    sentence = "`model.xml` has .* tensors wider than 32 bits, the first is i64 of Constant `axes`"
    with pytest.raises(ConversionError, match=sentence):
        require_narrow(model_of(constant), "`model.xml`")


def dequantised_rows(low: float, high: float, levels: int = 256, scale: float = 0.5) -> ov.Model:
    """Return a gather of an int8 table times a scale, then a FakeQuantize over a range."""
    rows = opset.parameter(PartialShape([-1]), Type.i32, name="rows")
    table = opset.constant(np.arange(-128, 128, dtype=np.int8).reshape(64, 4))
    real = opset.multiply(opset.convert(table, "f32"), opset.constant(np.float32(scale)))
    gathered = opset.gather(real, rows, opset.constant(np.int32(0)))
    ends = [opset.constant(np.float32(value)) for value in (low, high, low, high)]
    return model_of(opset.fake_quantize(gathered, *ends, levels), rows)


def test_a_fake_quantize_that_changes_no_int8_value_is_removed() -> None:
    model = dequantised_rows(-64.0, 63.5)
    rows = np.arange(64, dtype=np.int32)
    before = run(model, rows)
    assert remove_identity_fake_quantizes(model) == (1, 0)
    np.testing.assert_array_equal(run(model, rows), before)


@pytest.mark.parametrize(("low", "high", "levels"), [(-32.0, 31.5, 256), (-64.0, 63.5, 128), (-64.0, 64.0, 256)])
def test_a_fake_quantize_that_changes_values_stays(low: float, high: float, levels: int) -> None:
    assert remove_identity_fake_quantizes(dequantised_rows(low, high, levels)) == (0, 1)


def test_a_fake_quantize_of_an_activation_stays() -> None:
    values = opset.parameter([4], Type.f32, name="values")
    ends = [opset.constant(np.float32(value)) for value in (-64, 63.5, -64, 63.5)]
    model = model_of(opset.fake_quantize(values, *ends, 256), values)
    assert remove_identity_fake_quantizes(model) == (0, 1)
