"""The project's oldest rule, made true for a graph: no tensor is wider than 32 bits.

Goes in: an `ov.Model` as OpenVINO's frontend read it, whose only wide tensors are i64 shapes and
axes. Comes out: the same model in place, with i32 and f32, and the proof that nothing wide is left,
bodies of `If` and `Loop` included. A value that does not fit is refused, never clipped, but for the
INT64_MAX that means "to the end" in slices.

Also here: removing the `FakeQuantize` that the TFLite frontend adds after a dequantised gather. It
is an identity on the int8 grid but switches on low-precision passes (errors of 1e-2), so it goes,
once it is proved to be one.
"""

from collections.abc import Iterator

import numpy as np
import openvino as ov
from openvino import Node, Type

from carafe_tools.errors import require

WIDEST_BITS = 32
NARROWER = {"i64": "i32", "u64": "i32", "f64": "f32"}
# the attributes by which an operation chooses the type of its own output
TYPE_ATTRIBUTES = (
    "output_type",
    "index_element_type",
    "destination_type",
)
INT8_GRID = np.arange(-128, 128, dtype=np.float64)


def operations(model: ov.Model) -> Iterator[Node]:
    """Yield every operation of a model and of the bodies inside it."""
    for operation in model.get_ordered_ops():
        yield operation
        for body in _bodies(operation):
            yield from operations(body)


def wide_tensors(model: ov.Model) -> list[str]:
    """Return a line for each tensor of a model wider than 32 bits: its type, operation and name."""
    return [
        f"{output.get_element_type().to_string()} of {operation.get_type_name()} `{operation.get_friendly_name()}`"
        for operation in operations(model)
        for output in operation.outputs()
        if output.get_element_type().bitwidth > WIDEST_BITS
    ]


def require_narrow(model: ov.Model, where: str) -> None:
    """Refuse a model that has a tensor wider than 32 bits, naming the first."""
    wide = wide_tensors(model)
    require(not wide, f"{where} has {len(wide)} tensors wider than {WIDEST_BITS} bits, the first is {(wide or [''])[0]}")


def narrow(model: ov.Model) -> None:
    """Rewrite a model in place so that no tensor is wider than 32 bits, and prove it."""
    for parameter in model.get_parameters():
        wide = parameter.get_element_type().to_string()
        if wide in NARROWER:
            parameter.set_element_type(getattr(Type, NARROWER[wide]))
    for operation in list(operations(model)):
        _narrow_operation(operation)
    model.validate_nodes_and_infer_types()
    require_narrow(model, "the narrowed graph")


def remove_identity_fake_quantizes(model: ov.Model) -> tuple[int, int]:
    """Remove each `FakeQuantize` that is an identity on the int8 values it is fed; return how many
    went and how many stay.
    """
    removed = kept = 0
    for operation in model.get_ordered_ops():
        if operation.get_type_name() != "FakeQuantize":
            continue
        scale = _int8_scale(operation.input_value(0).get_node())
        if scale is not None and _is_identity_on(operation, INT8_GRID * scale, scale):
            operation.output(0).replace(operation.input_value(0))
            removed += 1
        else:
            kept += 1
    model.validate_nodes_and_infer_types()
    return removed, kept


def _bodies(operation: Node) -> list[ov.Model]:
    kind = operation.get_type_name()
    if kind == "If":
        return [operation.get_then_body(), operation.get_else_body()]
    return [operation.get_function()] if kind in ("Loop", "TensorIterator") else []


def _narrow_operation(operation: Node) -> None:
    if operation.get_type_name() == "Constant":
        if operation.get_element_type().to_string() in NARROWER:
            constant = ov.op.Constant(_narrow_values(operation))
            constant.set_friendly_name(operation.get_friendly_name())
            operation.output(0).replace(constant.output(0))
        return
    for name in TYPE_ATTRIBUTES:
        wide = operation.get_attributes().get(name)
        if wide in NARROWER:
            operation.set_attribute(name, NARROWER[wide])


def _narrow_values(constant: Node) -> np.ndarray:
    values = constant.get_data()
    name = constant.get_friendly_name()
    if values.dtype == np.float64:
        narrowed = values.astype(np.float32)
        exact = np.array_equal(narrowed.astype(np.float64), values, equal_nan=True)
        require(exact, f"the f64 constant `{name}` has values that f32 cannot hold")
        return narrowed
    bounds, wide_bounds = np.iinfo(np.int32), np.iinfo(values.dtype)
    if wide_bounds.min < 0:  # INT64_MIN and INT64_MAX mean "from the start" and "to the end"
        values = np.where(values == wide_bounds.min, bounds.min, values)
    values = np.where(values == wide_bounds.max, bounds.max, values)
    fits = bool(np.all((values >= bounds.min) & (values <= bounds.max)))
    require(fits, f"the {wide_bounds.dtype} constant `{name}` has values that i32 cannot hold")
    return values.astype(np.int32)


def _int8_scale(node: Node) -> float | None:
    """Return the one scale by which int8 constants were multiplied to make this node's output, else
    None.

    Walks back over Gather, Reshape, Convert and Multiply with a scalar to the constant.
    """
    scale = 1.0
    while node.get_type_name() != "Constant":
        kind = node.get_type_name()
        if kind == "Multiply":
            factor = node.input_value(1).get_node()
            if factor.get_type_name() != "Constant" or factor.get_data().size != 1:
                return None
            scale *= float(factor.get_data().ravel()[0])
        elif kind not in ("Gather", "Reshape", "Convert"):
            return None
        node = node.input_value(0).get_node()
    return scale if node.get_element_type() == Type.i8 else None


def _is_identity_on(fake_quantize: Node, values: np.ndarray, scale: float) -> bool:
    """Evaluate the operation's definition on every value it can be fed; equal means within 1e-3 of
    one grid step.
    """
    constants = [source.get_node() for source in fake_quantize.input_values()[1:]]
    if any(node.get_type_name() != "Constant" or node.get_data().size != 1 for node in constants):
        return False
    low, high, out_low, out_high = (float(node.get_data().ravel()[0]) for node in constants)
    steps = fake_quantize.get_attributes()["levels"] - 1
    if steps < 1 or high <= low or out_high <= out_low:
        return False
    rounded = np.round((np.clip(values, low, high) - low) / (high - low) * steps)
    result = rounded / steps * (out_high - out_low) + out_low
    return bool(np.all(np.abs(result - values) <= 1e-3 * scale))
