"""Writes any .tflite graph, operation by operation, with the flatbuffer schema alone: no
TensorFlow.

Goes in: calls that add tensors, constants and operations to the one subgraph. Comes out: the bytes
of the file, the same for the same calls. Knows nothing about GPT-2.
"""

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

TENSOR_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.uint8): schema.TensorType.UINT8,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int64): schema.TensorType.INT64,
}
SCHEMA_VERSION = 3
FILE_IDENTIFIER = b"TFL3"
LAST_DEPRECATED_CODE = 127  # operator codes beyond a signed byte exist only in the newer field


def options(name: str, **fields: Any) -> Any:
    """Return the schema's options object of an operation, `options("Gather", axis=0)`."""
    result = getattr(schema, f"{name}OptionsT")()
    for field, value in fields.items():
        setattr(result, field, value)
    return result


class GraphBuilder:
    """A .tflite under construction; tensors are known by their index."""

    def __init__(self, description: str, old_codes: bool = False) -> None:
        # as files from before 2020 have them, in the deprecated field alone
        self._old_codes = old_codes
        self._model = schema.ModelT()
        self._model.version = SCHEMA_VERSION
        self._model.description = description
        self._model.buffers = [schema.BufferT()]  # buffer 0 is the empty one by convention
        self._model.operatorCodes = []
        self._graph = schema.SubGraphT()
        self._graph.name = "main"
        self._graph.tensors = []
        self._graph.operators = []
        self._model.subgraphs = [self._graph]
        self._codes: dict[tuple[str, int], int] = {}
        self._names: set[str] = set()
        self._small_constants: dict[tuple[str, tuple[int, ...], bytes], int] = {}

    def tensor(self, name: str, shape: tuple[int, ...], dtype: type = np.float32, scales: np.ndarray | None = None) -> int:
        """Add a tensor without contents, several scales being for its rows; its name gets a number
        if it is taken.
        """
        tensor = schema.TensorT()
        tensor.name = self._unique(name)
        tensor.shape = np.array(shape, np.int32)
        tensor.type = TENSOR_TYPES[np.dtype(dtype)]
        tensor.buffer = 0
        if scales is not None:
            tensor.quantization = self._quantisation(scales, axis=max(0, len(shape) - 2))
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def constant(self, name: str, values: Any, dtype: type = np.float32, scales: np.ndarray | None = None) -> int:
        """Add a tensor with contents; equal short ones are stored once."""
        array = np.ascontiguousarray(np.asarray(values, dtype))
        key = (array.dtype.str, np.shape(values), array.tobytes()) if array.size <= 8 and scales is None else None
        if key is not None and key in self._small_constants:
            return self._small_constants[key]
        index = self.tensor(name, np.shape(values), dtype, scales)
        buffer = schema.BufferT()
        buffer.data = array.reshape(-1).view(np.uint8)
        self._model.buffers.append(buffer)
        self._graph.tensors[index].buffer = len(self._model.buffers) - 1
        if key is not None:
            self._small_constants[key] = index
        return index

    def shared(self, constant: int, name: str, shape: tuple[int, ...]) -> int:
        """Add a tensor over the contents of a constant, in another shape of as many elements."""
        original = self._graph.tensors[constant]
        index = self.tensor(name, shape, dtype=np.int8, scales=original.quantization.scale)
        self._graph.tensors[index].buffer = original.buffer
        return index

    def operation(self, code: str, inputs: list[int], outputs: list[int], settings: Any = None, version: int = 1) -> None:
        """Add an operation, `code` being the schema's name of it; an input of -1 is left out."""
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(code, version)
        operator.inputs = np.array(inputs, np.int32)
        operator.outputs = np.array(outputs, np.int32)
        if settings is not None:
            operator.builtinOptions = settings
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(settings).__name__.removesuffix("T"))
        self._graph.operators.append(operator)

    def finish(self, inputs: list[int], outputs: list[int]) -> bytearray:
        """Return the file with the given tensors as the graph's inputs and outputs."""
        self._graph.inputs = np.array(inputs, np.int32)
        self._graph.outputs = np.array(outputs, np.int32)
        builder = flatbuffers.Builder(1024)
        builder.Finish(self._model.Pack(builder), file_identifier=FILE_IDENTIFIER)
        return builder.Output()

    def _unique(self, name: str) -> str:
        candidate, number = name, 0
        while candidate in self._names:
            number += 1
            candidate = f"{name}_{number}"
        self._names.add(candidate)
        return candidate

    def _quantisation(self, scales: np.ndarray, axis: int) -> Any:
        result = schema.QuantizationParametersT()
        result.scale = np.atleast_1d(np.asarray(scales, np.float32))
        result.zeroPoint = np.zeros(result.scale.size, np.int64)
        result.quantizedDimension = axis if result.scale.size > 1 else 0
        return result

    def _code(self, name: str, version: int) -> int:
        key = (name, version)
        if key not in self._codes:
            code = schema.OperatorCodeT()
            number = getattr(schema.BuiltinOperator, name)
            code.deprecatedBuiltinCode = min(number, LAST_DEPRECATED_CODE)
            code.builtinCode = 0 if self._old_codes else number
            code.version = version
            self._model.operatorCodes.append(code)
            self._codes[key] = len(self._codes)
        return self._codes[key]
