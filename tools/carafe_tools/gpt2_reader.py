"""Finds each weight of a GPT-2 in a .tflite by its position in the graph; names are not trusted.

Goes in: a `TfliteFile`. Comes out: a `Gpt2` whose matrices are the file's own int8 bytes, and the length T of the sequences
that the file computes. The linear operations in order must have the shapes (3E,E), (E,E), (4E,E), (E,4E) for each layer, then
(V,E); biases, norms, tables and heads are found from there. A layout other than that of the 2019 quantiser is refused by name.
Certification proves the result: a role taken wrongly gives other logits than OpenVINO's own reading of the file.
"""

from dataclasses import dataclass

import numpy as np

from carafe_tools.errors import require
from carafe_tools.gpt2 import Dimensions, Gpt2, Layer, Linear, Quantised, linear_shapes
from carafe_tools.gpt2_vectors import PASSING, VectorFinder
from carafe_tools.tflite_file import Operation, Tensor, TfliteFile

LINEARS_PER_LAYER = 4
KNOWN_OPERATIONS = frozenset(
    [
        "ADD",
        "BATCH_MATMUL",
        "CAST",
        "CONCATENATION",
        "DEQUANTIZE",
        "DIV",
        "EXPAND_DIMS",
        "FULLY_CONNECTED",
        "GATHER",
        "GELU",
        "MEAN",
        "MUL",
        "PACK",
        "POW",
        "RESHAPE",
        "RSQRT",
        "SLICE",
        "SOFTMAX",
        "SPLIT",
        "SQRT",
        "SQUARED_DIFFERENCE",
        "SQUEEZE",
        "STRIDED_SLICE",
        "SUB",
        "TANH",
        "TRANSPOSE",
        "UNPACK",
    ]
)


@dataclass(frozen=True, eq=False)
class Gpt2Source:
    """What a .tflite holds: the model, and T, the only length of sequence that the file itself can compute."""

    model: Gpt2
    sequence: int


@dataclass(frozen=True, eq=False)
class _FoundLinear:
    """A FULLY_CONNECTED with a constant weight."""

    operation: Operation
    weight: Tensor


class _Reader:
    def __init__(self, file: TfliteFile) -> None:
        self.file = file
        self.vectors = VectorFinder(file)

    def read(self) -> Gpt2Source:
        self._check_operations()
        sequence = self._sequence()
        linears = self._linears()
        vocabulary, width = linears[-1].weight.shape
        layers = self._check_shapes(linears, width)
        tokens, positions = self._tables(linears[-1], width)
        dimensions = Dimensions(layers, width, self._heads(sequence), positions.shape[0], vocabulary)
        dimensions.check(self._where)
        self._check_outputs(dimensions, sequence)
        require(
            sequence <= positions.shape[0],
            f"{self._where} computes sequences of {sequence} but its position embedding has only {positions.shape[0]} rows",
        )
        blocks = [
            self._layer(linears[start : start + LINEARS_PER_LAYER]) for start in range(0, len(linears) - 1, LINEARS_PER_LAYER)
        ]
        model = Gpt2(
            dimensions, self._matrix(tokens), self._matrix(positions), blocks, self.vectors.norm(linears[-1].operation, width)
        )
        return Gpt2Source(model, sequence)

    @property
    def _where(self) -> str:
        return f"`{self.file.path}`"

    def _tensor(self, index: int) -> Tensor:
        return self.file.tensors[index]

    def _check_operations(self) -> None:
        for operation in self.file.operations:
            require(
                operation.code in KNOWN_OPERATIONS,
                f"{self._where} has an operation {operation.code} (output `{self._tensor(operation.outputs[0]).name}`) "
                "that a GPT-2 is not made of",
            )

    def _sequence(self) -> int:
        """Return T of the one input, i32 [1,T]."""
        require(len(self.file.inputs) == 1, f"{self._where} has {len(self.file.inputs)} inputs; one was expected")
        tensor = self._tensor(self.file.inputs[0])
        require(
            tensor.type == "INT32" and len(tensor.shape) == 2 and tensor.shape[0] == 1 and tensor.shape[1] > 0,
            f"{self._where} has an input `{tensor.name}` of type {tensor.type} and shape {list(tensor.shape)}; "
            "INT32 [1, T] was expected",
        )
        return tensor.shape[1]

    def _linears(self) -> list[_FoundLinear]:
        found = []
        for operation in self.file.operations:
            if operation.code == "FULLY_CONNECTED":
                weight = self._tensor(operation.inputs[1])
                if weight.data is not None:
                    found.append(_FoundLinear(operation, self._checked_matrix(weight)))
        count = len(found)
        require(
            count % LINEARS_PER_LAYER == 1 and count > 1,
            f"{self._where} has {count} linear operations with constant weights; 4 a layer and one head were expected",
        )
        return found

    def _checked_matrix(self, tensor: Tensor) -> Tensor:
        name, where = tensor.name, self._where
        require(
            tensor.type == "INT8" and tensor.data is not None,
            f"{tensor.type} weights are not supported yet: `{name}` of {where}; INT8 was expected",
        )
        require(tensor.scales.size > 0, f"`{name}` of {where} is INT8 but has no scale")
        require(
            tensor.scales.size == 1,
            f"per-channel weights of `{name}` are not supported yet: {where} has {tensor.scales.size} scales for it; "
            "one for the whole tensor was expected",
        )
        require(
            not tensor.zero_points.any(),
            f"`{name}` of {where} has zero point {tensor.zero_point}; 0 was expected",
        )
        require(
            bool(np.isfinite(tensor.scales).all() and (tensor.scales > 0).all()),
            f"`{name}` of {where} has scale {tensor.scales[0]}; a positive number was expected",
        )
        require(len(tensor.shape) == 2, f"`{name}` of {where} has shape {list(tensor.shape)}; a matrix was expected")
        return tensor

    def _check_shapes(self, linears: list[_FoundLinear], width: int) -> int:
        """Compare the linear operations with what L layers of this width have; return L."""
        layers = len(linears) // LINEARS_PER_LAYER
        for linear, shape in zip(linears, linear_shapes(width, layers), strict=False):
            require(
                linear.weight.shape == shape,
                f"`{linear.weight.name}` of {self._where} has shape {list(linear.weight.shape)}; "
                f"{list(shape)} was expected there",
            )
        return layers

    def _tables(self, head: _FoundLinear, width: int) -> tuple[Tensor, Tensor]:
        """Return the token embedding, the table whose GATHER reads the graph's input, and the position embedding, the other."""
        token, position = [], []
        for operation in self.file.operations:
            if operation.code == "GATHER":
                table = self._undequantised(operation.inputs[0])
                if table.data is not None and len(table.shape) == 2:
                    (token if self._reads_ids(operation.inputs[1]) else position).append(table)
        require(
            len(token) == 1 and token[0].shape == head.weight.shape,
            f"{self._where} gathers the input's rows of tables of shapes {[list(tensor.shape) for tensor in token]}; "
            f"one token embedding of shape {list(head.weight.shape)} was expected",
        )
        require(
            token[0].buffer == head.weight.buffer,
            f"an untied head is not supported yet: {self._where} stores `{head.weight.name}` apart from `{token[0].name}`",
        )
        require(
            len(position) > 0,
            f"a folded position embedding is not supported yet: {self._where} has no second table that a GATHER reads",
        )
        require(
            len(position) == 1 and position[0].shape[1] == width,
            f"{self._where} has a table `{position[-1].name}` of shape {list(position[-1].shape)}; "
            f"one position embedding of width {width} was expected",
        )
        return self._checked_matrix(token[0]), self._checked_matrix(position[0])

    def _reads_ids(self, index: int) -> bool:
        while (producer := self.file.producers.get(index)) is not None and producer.code in PASSING | {"CAST"}:
            index = producer.inputs[0]
        return index in self.file.inputs

    def _undequantised(self, index: int) -> Tensor:
        producer = self.file.producers.get(index)
        return self._tensor(producer.inputs[0] if producer is not None and producer.code == "DEQUANTIZE" else index)

    def _heads(self, sequence: int) -> int:
        shapes = {self._tensor(operation.outputs[0]).shape for operation in self.file.operations if operation.code == "SOFTMAX"}
        require(
            len(shapes) == 1 and len(shape := next(iter(shapes))) == 4 and shape[0] == 1 and shape[2:] == (sequence, sequence),
            f"{self._where} has softmax shapes {sorted(map(list, shapes))}; [1, heads, {sequence}, {sequence}] was expected",
        )
        return shape[1]

    def _check_outputs(self, dimensions: Dimensions, sequence: int) -> None:
        shapes = [list(self._tensor(index).shape) for index in self.file.outputs]
        logits = [1, sequence, dimensions.vocabulary]
        require(
            shapes[:1] == [logits],
            f"{self._where} has a first output of shape {shapes[:1]}; the logits {logits} were expected",
        )
        require(
            len(shapes) > 1,
            f"a file without presents is not supported yet: {self._where} has the logits as its only output",
        )
        present = [2, 1, dimensions.heads, sequence, dimensions.head_width]
        require(
            shapes[1:] == [present] * dimensions.layers,
            f"{self._where} has {len(shapes) - 1} outputs after the logits, the first of shape {shapes[1]}; "
            f"{dimensions.layers} presents of shape {present} were expected",
        )

    def _layer(self, linears: list[_FoundLinear]) -> Layer:
        attention_in, attention_out, mlp_in, mlp_out = linears
        width = attention_in.weight.shape[1]
        return Layer(
            self.vectors.norm(attention_in.operation, width),
            self._linear(attention_in),
            self._linear(attention_out),
            self.vectors.norm(mlp_in.operation, width),
            self._linear(mlp_in),
            self._linear(mlp_out),
        )

    def _matrix(self, tensor: Tensor) -> Quantised:
        return Quantised(tensor.data, np.float32(tensor.scales[0]))

    def _linear(self, linear: _FoundLinear) -> Linear:
        return Linear(self._matrix(linear.weight), self.vectors.bias(linear.operation))


def find_gpt2(file: TfliteFile) -> Gpt2Source:
    """Return the GPT-2 that a .tflite computes, or refuse the file."""
    return _Reader(file).read()
