"""Finds each weight of a GPT-2 in a .tflite by its position in the graph; names are not trusted.

Goes in: a `TfliteFile`. Comes out: a `Gpt2` whose matrices are the file's own int8 bytes, and the
length T of the sequences that the file computes. The linear operations in order must have the
shapes (3E,E), (E,E), (4E,E), (E,4E) for each layer, then (V,E); biases, norms, tables and heads are
found from there. What cannot be understood is refused by operation and tensor. Certification proves
the result: a role taken wrongly gives other logits than OpenVINO's own reading of the file.
"""

from dataclasses import dataclass, replace

import numpy as np

from carafe_tools.errors import require
from carafe_tools.gpt2 import Dimensions, Gpt2, Layer, Linear, Quantised, Real, linear_shapes
from carafe_tools.gpt2_vectors import PASSING, VectorFinder
from carafe_tools.tflite_file import Operation, Tensor, TfliteFile

LINEARS_PER_LAYER = 4
# the latter for a head, with a constant (1, V, E)
LINEAR_OPERATIONS = ("FULLY_CONNECTED", "BATCH_MATMUL")
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
    """What a .tflite holds: the model, and T, the only length of sequence that the file itself can
    compute.
    """

    model: Gpt2
    sequence: int


@dataclass(frozen=True, eq=False)
class _FoundLinear:
    """A linear operation with a constant weight."""

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
        norm = self.vectors.norm(linears[-1].operation, width)
        return Gpt2Source(Gpt2(dimensions, tokens, positions, blocks, norm, self._head(linears[-1], tokens)), sequence)

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
            require(
                operation.code != "GELU" or operation.option("Approximate"),
                f"{self._where} has a GELU (output `{self._tensor(operation.outputs[0]).name}`) by the error function; "
                "GPT-2's is the approximation by tanh",
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
            if operation.code in LINEAR_OPERATIONS:
                weight = self._tensor(operation.inputs[1])
                if weight.data is not None:
                    found.append(_FoundLinear(operation, self._checked_matrix(weight)))
        count = len(found)
        require(
            count % LINEARS_PER_LAYER == 1 and count > 1,
            f"{self._where} has {count} linear operations with constant weights; 4 a layer and one head were expected",
        )
        for linear in found:
            require(
                linear.operation.code != "BATCH_MATMUL" or linear.operation.option("AdjY"),
                f"{self._where} multiplies by `{linear.weight.name}` without transposing it; (out, in) was expected",
            )
        return found

    def _checked_matrix(self, tensor: Tensor) -> Tensor:
        """Return an int8 matrix without dimensions of 1 before it, refusing all that is not one."""
        name, where = tensor.name, self._where
        require(
            tensor.type == "INT8" and tensor.data is not None,
            f"{tensor.type} weights are not supported: `{name}` of {where}; INT8 was expected",
        )
        extra = len(tensor.shape) - 2
        require(
            extra >= 0 and all(size == 1 for size in tensor.shape[:extra]),
            f"`{name}` of {where} has shape {list(tensor.shape)}; a matrix was expected",
        )
        shape, count = tensor.shape[extra:], tensor.scales.size
        require(count > 0, f"`{name}` of {where} is INT8 but has no scale")
        require(
            count == 1 or (count == shape[0] and tensor.axis == extra),
            f"`{name}` of {where} has {count} scales along dimension {tensor.axis}; "
            f"one, or {shape[0]} along dimension {extra} were expected",
        )
        require(
            not tensor.zero_points.any(),
            f"`{name}` of {where} has zero point {tensor.zero_points[tensor.zero_points.nonzero()][:1].tolist()}; 0 was expected",
        )
        wrong = tensor.scales[~(np.isfinite(tensor.scales) & (tensor.scales > 0))]
        require(wrong.size == 0, f"`{name}` of {where} has scale {wrong[:1].tolist()}; positive numbers were expected")
        return replace(tensor, shape=shape, data=tensor.data.reshape(shape), axis=0)

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

    def _tables(self, head: _FoundLinear, width: int) -> tuple[Quantised, Quantised | Real]:
        """Return the token embedding, the table of whose rows GATHER takes those of the input, and
        the position embedding.
        """
        gathers = [operation for operation in self.file.operations if operation.code == "GATHER"]
        token = [operation for operation in gathers if self._reads_ids(operation.inputs[1])]
        shapes = [list(self._undequantised(operation.inputs[0]).shape) for operation in token]
        require(
            shapes == [list(head.weight.shape)],
            f"{self._where} gathers the input's rows of tables of shapes {shapes}; "
            f"one token embedding of shape {list(head.weight.shape)} was expected",
        )
        return self._gathered_table(token[0]), self._positions(token[0], width)

    def _gathered_table(self, gather: Operation) -> Quantised:
        """Return the table that a GATHER reads, dequantised whole before or in rows after it."""
        table, rows = self._checked_matrix(self._undequantised(gather.inputs[0])), self._tensor(gather.outputs[0])
        require(
            rows.type != "INT8" or np.array_equal(rows.scales, table.scales),
            f"{self._where} gathers `{rows.name}` with scales {rows.scales[:1].tolist()} "
            f"of `{table.name}` with {table.scales[:1].tolist()}; one scale, the same, was expected",
        )
        return self._matrix(table)

    def _positions(self, token: Operation, width: int) -> Quantised | Real:
        """Return what is added to the rows of the token embedding: rows of a table, or a folded
        constant.
        """
        added = self._added_operand(token)
        gather = self.file.producers.get(added)
        is_gathered = gather is not None and gather.code == "GATHER"
        table = self._undequantised(gather.inputs[0]) if is_gathered else self._tensor(added)
        require(
            table.data is not None and table.type in ("FLOAT32", "INT8"),
            f"{self._where} adds `{table.name}` to the token embedding; a table or a constant of positions was expected",
        )
        require(
            table.shape[-1:] == (width,),
            f"{self._where} has a position embedding `{table.name}` of shape {list(table.shape)}; width {width} was expected",
        )
        if is_gathered:
            self._check_places(gather)
        if table.type == "FLOAT32":
            return Real(table.data.reshape(-1, width))
        return self._gathered_table(gather) if is_gathered else self._matrix(self._checked_matrix(table))

    def _check_places(self, gather: Operation) -> None:
        """Refuse constant positions that do not count from 0; computed ones are for the
        certificate.
        """
        places = self._tensor(gather.inputs[1])
        require(
            places.data is None or np.array_equal(places.data.ravel(), np.arange(places.data.size)),
            f"{self._where} has positions `{places.name}` that do not count from 0",
        )

    def _added_operand(self, gather: Operation) -> int:
        """Return what is added to the rows that a GATHER gives, before anything that only passes
        values on.
        """
        index = gather.outputs[0]
        while True:
            consumers = self.file.consumers.get(index, [])
            code = consumers[0].code if len(consumers) == 1 else "none or several"
            if code == "ADD":
                left, right = consumers[0].inputs
                return self._origin(right if left == index else left)
            name = self._tensor(index).name
            require(
                code in PASSING | {"DEQUANTIZE"},
                f"{self._where} has no position embedding: an ADD after `{name}` was expected, {code} was found",
            )
            index = consumers[0].outputs[0]

    def _origin(self, index: int) -> int:
        """Walk back over what only passes values on."""
        while (producer := self.file.producers.get(index)) is not None and producer.code in PASSING | {"DEQUANTIZE"}:
            index = producer.inputs[0]
        return index

    def _head(self, found: _FoundLinear, tokens: Quantised) -> Quantised:
        """Return the head's matrix: the token embedding itself where the file's is equal to it."""
        head = self._matrix(found.weight)
        equal = np.array_equal(head.scales, tokens.scales) and np.array_equal(head.values, tokens.values)
        return tokens if equal else head

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
        present = [2, 1, dimensions.heads, sequence, dimensions.head_width]
        require(
            shapes[1:] in ([], [present] * dimensions.layers),
            f"{self._where} has {len(shapes) - 1} outputs after the logits, of shapes {shapes[1:]}; "
            f"none, or {dimensions.layers} presents of shape {present} were expected",
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
        return Quantised(tensor.data, tensor.scales)

    def _linear(self, linear: _FoundLinear) -> Linear:
        return Linear(self._matrix(linear.weight), self.vectors.bias(linear.operation))


def find_gpt2(file: TfliteFile) -> Gpt2Source:
    """Return the GPT-2 that a .tflite computes, or refuse the file."""
    return _Reader(file).read()
