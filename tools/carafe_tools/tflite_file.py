"""Reads a .tflite: its tensors, constants and operations, as plain Python values over a map of the
file.

Goes in: a path. Comes out: a `TfliteFile` whose constants are views of the file's own bytes. What
would make later steps silently wrong is refused here: a file that is not TFLite or is cut short,
several subgraphs, tensors wider than 32 bits, and duplicate tensor names, which OpenVINO reads as
one tensor. Knows nothing about GPT-2.
"""

import mmap
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from carafe_tools.errors import ConversionError, require
from carafe_tools.narrow import WIDEST_BITS
from carafe_tools.tflite_builder import FILE_IDENTIFIER

OPTION_NAMES = {code: name for name, code in vars(schema.BuiltinOptions).items() if isinstance(code, int)}
OPERATION_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
TYPE_NAMES = {code: name for name, code in vars(schema.TensorType).items() if isinstance(code, int)}
DTYPES = {
    "FLOAT32": np.float32,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "INT32": np.int32,
    "BOOL": np.bool_,
    "FLOAT16": np.float16,
}
WIDE_TYPES = ("INT64", "UINT64", "FLOAT64", "COMPLEX64", "COMPLEX128")
SMALLEST_FILE = 8  # the root's offset and the identifier


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of the file; `data` is None where it is computed, `scales` is empty where it is not
    quantised.
    """

    name: str
    type: str  # the schema's name: `INT8`, `FLOAT32`, …
    shape: tuple[int, ...]
    buffer: int
    data: np.ndarray | None
    scales: np.ndarray
    zero_points: np.ndarray
    axis: int = 0  # the dimension that several scales are for

    @property
    def zero_point(self) -> int:
        """The first zero point, 0 where the file gives none."""
        return int(self.zero_points[0]) if self.zero_points.size else 0


@dataclass(frozen=True)
class Operation:
    """An operation of the file; inputs and outputs are tensor indices, -1 for an input that is left
    out.
    """

    code: str  # the schema's name: `FULLY_CONNECTED`, …
    inputs: list[int]
    outputs: list[int]
    raw: Any = None  # the schema's object, for the options

    def option(self, name: str) -> Any:
        """Return an option by the schema's name of it, None where the file gives no options."""
        kind, table = OPTION_NAMES.get(self.raw.BuiltinOptionsType()), self.raw.BuiltinOptions()
        if kind is None or table is None:
            return None
        options = getattr(schema, kind)()
        options.Init(table.Bytes, table.Pos)
        return getattr(options, name)()


@dataclass(frozen=True, eq=False)
class TfliteFile:
    """A .tflite with one subgraph, its operations in the order in which they run."""

    path: Path
    tensors: list[Tensor]
    operations: list[Operation]
    inputs: list[int]
    outputs: list[int]
    producers: dict[int, Operation] = field(default_factory=dict)
    consumers: dict[int, list[Operation]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for operation in self.operations:
            for index in operation.outputs:
                self.producers[index] = operation
            for index in operation.inputs:
                self.consumers.setdefault(index, []).append(operation)


def read_tflite(path: Path) -> TfliteFile:
    """Return the contents of a .tflite, refusing what no later step could work with."""
    require(path.is_file(), f"`{path}` is not a file")
    require(
        path.stat().st_size >= SMALLEST_FILE,
        f"`{path}` is {path.stat().st_size} bytes long, too short for a TFLite file",
    )
    with path.open("rb") as file:
        contents = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    identifier = contents[4:8]
    require(
        identifier == FILE_IDENTIFIER,
        f"`{path}` is not a TFLite file: bytes 4 to 8 are {identifier!r}; {FILE_IDENTIFIER!r} was expected",
    )
    try:
        result = _read(path, contents)
    except (struct.error, ValueError, IndexError, TypeError, OverflowError) as error:
        raise ConversionError(f"`{path}` is truncated or damaged: {error}") from error
    _check_indices(result)
    _check_names(result)
    _check_widths(result)
    return result


def _read(path: Path, contents: mmap.mmap) -> TfliteFile:
    model = schema.Model.GetRootAsModel(contents, 0)
    count = model.SubgraphsLength()
    require(count == 1, f"`{path}` has {count} subgraphs; one was expected")
    graph = model.Subgraphs(0)
    # touch every buffer, also those that nothing uses, so that a file cut short is found here
    buffers = [_bytes(model.Buffers(index)) for index in range(model.BuffersLength())]
    codes = [_code_name(model.OperatorCodes(index)) for index in range(model.OperatorCodesLength())]
    return TfliteFile(
        path,
        [_tensor(graph.Tensors(index), buffers) for index in range(graph.TensorsLength())],
        [_operation(graph.Operators(index), codes) for index in range(graph.OperatorsLength())],
        graph.InputsAsNumpy().tolist(),
        graph.OutputsAsNumpy().tolist(),
    )


def _bytes(buffer: Any) -> np.ndarray | None:
    return buffer.DataAsNumpy() if buffer.DataLength() else None


def _code_name(code: Any) -> str:
    """Return the operation's name; files from before 2020 have only the older field, newer ones the
    larger of both.
    """
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    if number == schema.BuiltinOperator.CUSTOM:
        return f"CUSTOM {(code.CustomCode() or b'').decode(errors='replace')}"
    return OPERATION_NAMES.get(number, f"number {number}")


def _operation(operator: Any, codes: list[str]) -> Operation:
    inputs, outputs = operator.InputsAsNumpy().tolist(), operator.OutputsAsNumpy().tolist()
    return Operation(codes[operator.OpcodeIndex()], inputs, outputs, operator)


def _tensor(tensor: Any, buffers: list[np.ndarray | None]) -> Tensor:
    name = tensor.Name().decode(errors="replace")
    type_name = TYPE_NAMES.get(tensor.Type(), f"number {tensor.Type()}")
    shape = tuple(tensor.ShapeAsNumpy().tolist()) if tensor.ShapeLength() else ()
    data = buffers[tensor.Buffer()]
    if data is not None and type_name in DTYPES:
        data = data.view(DTYPES[type_name]).reshape(shape)
    quantisation = tensor.Quantization()
    quantised = quantisation is not None and quantisation.ScaleLength() > 0
    scales = quantisation.ScaleAsNumpy() if quantised else np.zeros(0, np.float32)
    zeros = quantisation.ZeroPointAsNumpy() if quantised and quantisation.ZeroPointLength() else np.zeros(scales.size, np.int64)
    axis = quantisation.QuantizedDimension() if quantised else 0
    return Tensor(name, type_name, shape, tensor.Buffer(), data, scales, zeros, axis)


def _check_indices(file: TfliteFile) -> None:
    used = [*file.inputs, *file.outputs]
    used += [index for operation in file.operations for index in (*operation.inputs, *operation.outputs)]
    count = len(file.tensors)
    wrong = next((index for index in used if not -1 <= index < count), None)
    require(wrong is None, f"`{file.path}` is truncated or damaged: it names tensor {wrong} of {count}")


def _check_names(file: TfliteFile) -> None:
    seen: set[str] = set()
    for tensor in file.tensors:
        require(
            tensor.name not in seen,
            f"`{file.path}` has two tensors named `{tensor.name}`, which OpenVINO would read as one; names must be unique",
        )
        seen.add(tensor.name)


def _check_widths(file: TfliteFile) -> None:
    for tensor in file.tensors:
        require(
            tensor.type not in WIDE_TYPES,
            f"`{file.path}` has a tensor `{tensor.name}` of type {tensor.type}; at most {WIDEST_BITS} bits are accepted",
        )
