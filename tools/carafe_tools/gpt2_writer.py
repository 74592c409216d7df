"""Writes an 8-bit GPT-2 as a .tflite, in the layouts that converters have used.

Goes in: a `Gpt2` and a `Layout`. Comes out: the bytes of a .tflite that LiteRT runs, input
`input_ids` i32 [1,T], first output the logits f32 [1,T,V], then, if wanted, a present (keys and
values) f32 [2,1,H,T,D] for each layer. Matrices are int8 with the scales of the model; a position
embedding in f32 is written folded, as a constant [1,T,E]; the causal mask is a constant.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from carafe_tools.errors import require
from carafe_tools.gpt2 import Gpt2, Linear, Norm, Quantised, Real
from carafe_tools.tflite_builder import GraphBuilder, options

MASKED = 1e4  # what GPT-2 subtracts from a masked score
SEQUENCE = 64  # T of the file that Hugging Face published


@dataclass(frozen=True)
class Layout:
    """What a converter may do one way or another; as it stands here, the way of the 2019 weight
    quantiser.
    """

    # GATHER rows of the int8 token embedding, instead of dequantising it whole before
    gathers_int8: bool = False
    # a tied head: `shared` tensor, `copied` contents, or `batch-matmul` by a [1,V,E] over the same
    # contents
    head: str = "shared"
    presents: bool = True  # keys and values of each layer are outputs
    fused_bias: bool = False  # an input of FULLY_CONNECTED, instead of an ADD
    single_gelu: bool = False  # one operation, instead of POW and TANH
    old_codes: bool = False  # operator codes in the deprecated field alone


QUANTISER_2019 = Layout()


class _Writer:
    def __init__(self, model: Gpt2, sequence: int, layout: Layout) -> None:
        positions = model.position_embedding
        require(
            isinstance(positions, Quantised) or positions.shape[0] == sequence,
            f"a folded position embedding has as many rows as the sequence is long, {sequence}; it has {positions.shape[0]}",
        )
        require(not (layout.old_codes and layout.single_gelu), "GELU has no operator code in files from before 2020")
        self.model = model
        self.layout = layout
        self.size = model.dimensions
        self.T = sequence
        self.builder = GraphBuilder("8-bit GPT-2, written by carafe_tools", layout.old_codes)
        mask = np.tril(np.ones((1, 1, sequence, sequence), np.float32))
        self.mask = self._constant("mask", mask)
        self.masked = self._constant("masked", MASKED * (1 - mask))

    def write(self) -> bytearray:
        ids = self.builder.tensor("input_ids", (1, self.T), np.int32)
        table = self._quantised("wte", self.model.token_embedding)
        hidden = self._embed(ids, table)  # (1, T, E)
        presents = []
        for index in range(self.size.layers):
            hidden, present = self._layer(hidden, index)
            presents.append(present)
        logits = self._head(self._norm(hidden, "ln_f", self.model.final_norm), table)
        return self.builder.finish([ids], [logits, *(presents if self.layout.presents else [])])

    def _embed(self, ids: int, table: int) -> int:
        T, E, V = self.T, self.size.width, self.size.vocabulary
        if self.layout.gathers_int8:
            tokens = self._gathered(table, ids, self.model.token_embedding, "wte/rows")
        else:
            whole = self._operation("DEQUANTIZE", [table], (V, E), name="wte/dequantised", version=2)
            tokens = self._operation("GATHER", [whole, ids], (1, T, E), options("Gather", axis=0))
        return self._add(tokens, self._positions(), (1, T, E))

    def _positions(self) -> int:
        embedding = self.model.position_embedding
        if isinstance(embedding, Real):
            return self._constant("wpe/folded", embedding.values[None])
        places = self._constant("position_ids", np.arange(self.T)[None], np.int32)
        return self._gathered(self._quantised("wpe", embedding), places, embedding, "wpe/rows")

    def _gathered(self, table: int, indices: int, matrix: Quantised, name: str) -> int:
        """Gather rows of an int8 table and dequantise them; that needs one scale for all."""
        shape = (1, self.T, self.size.width)
        rows = self.builder.tensor(name, shape, np.int8, matrix.scales)
        self.builder.operation("GATHER", [table, indices], [rows], options("Gather", axis=0), version=2)
        return self._operation("DEQUANTIZE", [rows], shape, version=2)

    def _head(self, hidden: int, table: int) -> int:
        T, E, V = self.T, self.size.width, self.size.vocabulary
        if self.model.is_tied and self.layout.head == "batch-matmul":
            weight = self.builder.shared(table, "head", (1, V, E))
            settings = options("BatchMatMul", adjX=False, adjY=True)
            return self._operation("BATCH_MATMUL", [hidden, weight], (1, T, V), settings, "logits", version=4)
        is_shared = self.model.is_tied and self.layout.head == "shared"
        weight = table if is_shared else self._quantised("head", self.model.head)
        logits = self._fully_connected(self._reshape(hidden, (T, E)), weight, V)
        return self._reshape(logits, (1, T, V), "logits")

    def _layer(self, hidden: int, index: int) -> tuple[int, int]:
        layer, name, shape = self.model.layers[index], f"h.{index}", (1, self.T, self.size.width)
        attended, present = self._attention(self._norm(hidden, f"{name}/ln_1", layer.attention_norm), name, layer)
        hidden = self._add(hidden, attended, shape)
        inner = self._linear(self._norm(hidden, f"{name}/ln_2", layer.mlp_norm), f"{name}/mlp/c_fc", layer.mlp_in)
        outer = self._linear(self._gelu(inner), f"{name}/mlp/c_proj", layer.mlp_out)
        return self._add(hidden, outer, shape), present

    def _attention(self, hidden: int, name: str, layer: Any) -> tuple[int, int]:
        T, E, H, D = self.T, self.size.width, self.size.heads, self.size.head_width
        joined = self._linear(hidden, f"{name}/attn/c_attn", layer.attention_in)  # (1, T, 3E)
        parts = [self.builder.tensor(f"{name}/attn/split", (1, T, E)) for _ in range(3)]
        axis = self._constant("axis", 2, np.int32)
        self.builder.operation("SPLIT", [axis, joined], parts, options("Split", numSplits=3))
        query, key, value = (self._transpose(self._reshape(part, (1, T, H, D)), (1, H, T, D)) for part in parts)
        present = self._operation(
            "PACK", [key, value], (2, 1, H, T, D), options("Pack", axis=0, valuesCount=2), f"{name}/present"
        )
        scores = self._matmul(query, key, (1, H, T, T), transposed=True)
        scores = self._multiply(scores, self._constant("scale", 1 / math.sqrt(D)), (1, H, T, T))
        probabilities = self._operation("SOFTMAX", [self._mask(scores)], (1, H, T, T), options("Softmax", beta=1.0))
        mixed = self._matmul(probabilities, value, (1, H, T, D), transposed=False)
        mixed = self._reshape(self._transpose(mixed, (1, T, H, D)), (1, T, E))
        return self._linear(mixed, f"{name}/attn/c_proj", layer.attention_out), present

    def _mask(self, scores: int) -> int:
        """Scores * mask - 1e4 * (1 - mask), as GPT-2's first code has it."""
        shape = (1, self.size.heads, self.T, self.T)
        kept = self._multiply(scores, self.mask, shape)
        return self._operation("SUB", [kept, self.masked], shape, options("Sub"))

    def _norm(self, hidden: int, name: str, norm: Norm) -> int:
        shape, narrow = (1, self.T, self.size.width), (1, self.T, 1)
        axes, settings = self._constant("axes", [2], np.int32), options("Reducer", keepDims=True)
        mean = self._operation("MEAN", [hidden, axes], narrow, settings)
        squares = self._operation("SQUARED_DIFFERENCE", [hidden, mean], shape, options("SquaredDifference"))
        variance = self._operation("MEAN", [squares, axes], narrow, settings)
        inverse = self._operation("RSQRT", [self._add(variance, self._constant("epsilon", norm.epsilon), narrow)], narrow)
        gain = self._multiply(inverse, self._constant(f"{name}/gamma", norm.gamma), shape)
        shift = [self._constant(f"{name}/beta", norm.beta), self._multiply(mean, gain, shape)]
        return self._add(self._multiply(hidden, gain, shape), self._operation("SUB", shift, shape, options("Sub")), shape)

    def _gelu(self, hidden: int) -> int:
        """x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))."""
        shape = (1, self.T, 4 * self.size.width)
        if self.layout.single_gelu:
            return self._operation("GELU", [hidden], shape, options("Gelu", approximate=True))
        cube = self._operation("POW", [hidden, self._constant("three", 3.0)], shape, options("Pow"))
        sum_ = self._add(hidden, self._multiply(cube, self._constant("cubic", 0.044715), shape), shape)
        scaled = self._multiply(sum_, self._constant("slope", math.sqrt(2 / math.pi)), shape)
        gate = self._add(self._operation("TANH", [scaled], shape), self._constant("one", 1.0), shape)
        return self._multiply(self._multiply(hidden, self._constant("half", 0.5), shape), gate, shape)

    def _linear(self, hidden: int, name: str, linear: Linear) -> int:
        outputs, inputs = linear.weight.values.shape
        flat = self._reshape(hidden, (self.T, inputs))
        weight = self._quantised(f"{name}/weight", linear.weight)
        if self.layout.fused_bias:
            biased = self._fully_connected(flat, weight, outputs, self._constant(f"{name}/bias", linear.bias))
        else:
            product = self._fully_connected(flat, weight, outputs)
            biased = self._add(product, self._constant(f"{name}/bias", linear.bias), (self.T, outputs))
        return self._reshape(biased, (1, self.T, outputs))

    def _fully_connected(self, flat: int, weight: int, outputs: int, bias: int = -1) -> int:
        settings = options("FullyConnected", keepNumDims=False)
        return self._operation("FULLY_CONNECTED", [flat, weight, bias], (self.T, outputs), settings, version=3)

    def _matmul(self, left: int, right: int, shape: tuple[int, ...], transposed: bool) -> int:
        settings = options("BatchMatMul", adjX=False, adjY=transposed)
        return self._operation("BATCH_MATMUL", [left, right], shape, settings)

    def _reshape(self, tensor: int, shape: tuple[int, ...], name: str = "") -> int:
        target = self._constant("shape", shape, np.int32)
        return self._operation("RESHAPE", [tensor, target], shape, options("Reshape", newShape=np.array(shape, np.int32)), name)

    def _transpose(self, tensor: int, shape: tuple[int, ...]) -> int:
        """Swap the two middle dimensions."""
        return self._operation(
            "TRANSPOSE", [tensor, self._constant("order", [0, 2, 1, 3], np.int32)], shape, options("Transpose")
        )

    def _add(self, left: int, right: int, shape: tuple[int, ...]) -> int:
        return self._operation("ADD", [left, right], shape, options("Add"))

    def _multiply(self, left: int, right: int, shape: tuple[int, ...]) -> int:
        return self._operation("MUL", [left, right], shape, options("Mul"))

    def _operation(
        self,
        code: str,
        inputs: list[int],
        shape: tuple[int, ...],
        settings: Any = None,
        name: str = "",
        version: int = 1,
    ) -> int:
        output = self.builder.tensor(name or code.lower(), shape)
        self.builder.operation(code, inputs, [output], settings, version)
        return output

    def _constant(self, name: str, values: Any, dtype: type = np.float32) -> int:
        return self.builder.constant(name, values, dtype)

    def _quantised(self, name: str, matrix: Quantised) -> int:
        return self.builder.constant(name, matrix.values, np.int8, matrix.scales)


def gpt2_tflite(model: Gpt2, sequence: int = SEQUENCE, layout: Layout = QUANTISER_2019) -> bytearray:
    """Return the .tflite of a model over sequences of a fixed length."""
    return _Writer(model, sequence, layout).write()
