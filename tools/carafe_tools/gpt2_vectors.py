"""Finds the vectors around a linear operation of a .tflite: its bias, and the layer normalisation
before it.

Goes in: a FULLY_CONNECTED operation. Comes out: its bias, or the gamma, beta and epsilon of the
norm, as the file's own f32 values. A bias is an input of the operation or the constant that is
added next. A norm is walked backwards, through whatever order of MUL, ADD and SUB the converter
chose, to the tensor whose mean it takes: the residual stream.
"""

import numpy as np

from carafe_tools.errors import ConversionError, require
from carafe_tools.gpt2 import Norm
from carafe_tools.tflite_file import Operation, Tensor, TfliteFile

# operations that hand values on unchanged
PASSING = frozenset(("RESHAPE", "SQUEEZE", "EXPAND_DIMS"))
NORM_OPERATIONS = PASSING | {"MUL", "ADD", "SUB", "RSQRT", "SQRT", "DIV", "POW"}
AVERAGING = ("MEAN", "SQUARED_DIFFERENCE")


class VectorFinder:
    """Finds biases and norms in one file."""

    def __init__(self, file: TfliteFile) -> None:
        self.file = file
        # where the walk back through a norm ends
        self.averaged = {index for operation in file.operations if operation.code in AVERAGING for index in operation.inputs}

    def bias(self, linear: Operation) -> np.ndarray:
        """Return the third input of a linear operation, or the constant of the ADD that follows
        it.
        """
        inputs = linear.inputs
        bias = self._tensor(inputs[2]) if len(inputs) > 2 and inputs[2] >= 0 else self._added_constant(linear)
        outputs = self._weight(linear).shape[0]
        require(
            bias.type == "FLOAT32" and bias.data is not None and bias.data.size == outputs,
            f"the bias `{bias.name}` of `{self.file.path}` has type {bias.type} and shape {list(bias.shape)}; "
            f"FLOAT32 [{outputs}] was expected",
        )
        return bias.data.reshape(outputs)

    def _added_constant(self, linear: Operation) -> Tensor:
        index = linear.outputs[0]
        while True:
            consumers = self.file.consumers.get(index, [])
            code = consumers[0].code if len(consumers) == 1 else "none or several"
            if code == "ADD":
                constants = [self._tensor(i) for i in consumers[0].inputs if self._tensor(i).data is not None]
                if len(constants) == 1:
                    return constants[0]
            if code not in PASSING:
                place = f"after `{self._weight(linear).name}`"
                raise ConversionError(f"`{self.file.path}` has no bias {place}: an ADD was expected, {code} was found")
            index = consumers[0].outputs[0]

    def norm(self, linear: Operation, width: int) -> Norm:
        """Walk back from a linear operation's input to the residual stream, collecting gamma, beta
        and epsilon.
        """
        where = f"the norm before `{self._weight(linear).name}`"
        found: dict[str, Tensor] = {}
        stack, seen = [linear.inputs[0]], set()
        while stack:
            index = stack.pop()
            producer = self.file.producers.get(index)
            if index in seen or index in self.averaged or producer is None or producer.code not in NORM_OPERATIONS:
                continue
            seen.add(index)
            for place, source in enumerate(producer.inputs):
                role = self._norm_role(producer.code, place, self._tensor(source), width)
                if role is not None:
                    same = found.setdefault(role, self._tensor(source)) is self._tensor(source)
                    require(same, f"`{self.file.path}` has two constants that could be {role} of {where}")
            stack.extend(producer.inputs)
        for role in ("gamma", "beta", "epsilon"):
            require(role in found, f"`{self.file.path}` has no {role} in {where}")
        vectors = (found[role].data.reshape(width) for role in ("gamma", "beta"))
        return Norm(*vectors, float(found["epsilon"].data.ravel()[0]))

    def _norm_role(self, code: str, place: int, tensor: Tensor, width: int) -> str | None:
        if tensor.data is None or tensor.type != "FLOAT32":
            return None
        if tensor.data.size == width:
            is_beta = code == "ADD" or (code == "SUB" and place == 0)
            return "gamma" if code == "MUL" else "beta" if is_beta else None
        return "epsilon" if tensor.data.size == 1 and code == "ADD" else None

    def _tensor(self, index: int) -> Tensor:
        return self.file.tensors[index]

    def _weight(self, linear: Operation) -> Tensor:
        return self._tensor(linear.inputs[1])
