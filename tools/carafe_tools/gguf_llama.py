"""Reads a model of the llama kind from a GGUF file: sizes and positions from its metadata, weights
from its tensors.

Goes in: an open file. Comes out: a `Llama`. The families that llama.cpp calls llama, qwen2 and
qwen3 differ in one thing that the tensors do not show by being there: llama's queries and keys are
stored with the two halves of each head interleaved, which is undone here.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from carafe_tools.errors import require
from carafe_tools.gguf_file import GgufFile
from carafe_tools.llama import Llama, LlamaLayer, Projection, Rope, Sizes, linear_rope, plain_rope, yarn_rope
from carafe_tools.stored_weights import Weights

# llama.cpp's names of the families, and whether the rows of queries and keys are interleaved
FAMILIES = {"llama": True, "qwen2": False, "qwen3": False}
ARCHITECTURE = "general.architecture"
HEAD = "output.weight"
FREQUENCY_FACTORS = "rope_freqs.weight"
# options of a family that change what is computed, each with the value at which it does nothing
NEUTRAL: dict[str, Any] = {
    "attention.causal": True,
    "attention.clamp_kqv": 0.0,
    "attention.scale": 0.0,
    "expert_count": 0,
    "logit_scale": 0.0,
    "residual_scale": 0.0,
    "embedding_scale": 0.0,
    "rope.scaling.yarn_ext_factor": 1.0,
}


def read_llama(file: GgufFile) -> Llama:
    """Return the model in a file, every tensor of which must have a role."""
    family = file.text(ARCHITECTURE)
    _check_options(file, family)
    sizes = _sizes(file, family)
    rope = _rope(file, family, sizes.head_width)
    is_interleaved = FAMILIES[family]
    turning = 2 * len(rope.frequencies)
    require(
        not is_interleaved or turning == sizes.head_width,
        f"`{file.path}` turns {turning} of a head's {sizes.head_width} dimensions; the family `{family}` turns all of them",
    )
    tokens = file.matrix("token_embd.weight", (sizes.vocabulary, sizes.width))
    model = Llama(
        sizes,
        float(file.number(f"{family}.attention.layer_norm_rms_epsilon")),
        rope,
        tokens,
        [_Layer(file, sizes, index, is_interleaved).read() for index in range(sizes.layers)],
        file.vector("output_norm.weight", sizes.width),
        file.matrix(HEAD, tokens.shape) if file.has(HEAD) else tokens,
    )
    file.check_complete(f"a model of the family `{family}`")
    return model


class _Layer:
    """Finds the tensors of one layer."""

    def __init__(self, file: GgufFile, sizes: Sizes, index: int, is_interleaved: bool) -> None:
        self.file, self.sizes, self.is_interleaved = file, sizes, is_interleaved
        self.prefix = f"blk.{index}."

    def read(self) -> LlamaLayer:
        size = self.sizes
        E, F, queries, keys = size.width, size.inner, size.heads * size.head_width, size.kv_heads * size.head_width
        return LlamaLayer(
            self._vector("attn_norm", E),
            self._turning("attn_q", (queries, E), size.heads),
            self._turning("attn_k", (keys, E), size.kv_heads),
            self._projection("attn_v", (keys, E)),
            self._projection("attn_output", (E, queries)),
            self._optional("attn_q_norm", size.head_width),
            self._optional("attn_k_norm", size.head_width),
            self._vector("ffn_norm", E),
            self._projection("ffn_gate", (F, E)),
            self._projection("ffn_up", (F, E)),
            self._projection("ffn_down", (E, F)),
        )

    def _vector(self, name: str, size: int) -> np.ndarray:
        return self.file.vector(f"{self.prefix}{name}.weight", size)

    def _optional(self, name: str, size: int) -> np.ndarray | None:
        return self._vector(name, size) if self.file.has(f"{self.prefix}{name}.weight") else None

    def _projection(self, name: str, shape: tuple[int, int]) -> Projection:
        bias = f"{self.prefix}{name}.bias"
        weights = self.file.matrix(f"{self.prefix}{name}.weight", shape)
        return Projection(weights, self.file.vector(bias, shape[0]) if self.file.has(bias) else None)

    def _turning(self, name: str, shape: tuple[int, int], heads: int) -> Projection:
        """Return the projection of queries or keys, whose rows llama's family has in another
        order.
        """
        found = self._projection(name, shape)
        if not self.is_interleaved:
            return found
        order = halves_of_interleaved(shape[0], heads)
        whole, bits = slice(0, shape[0]), found.weights.bits
        weights = Weights(shape, lambda rows: found.weights.read(whole).rows(order[rows]), bits)
        return Projection(weights, None if found.bias is None else found.bias[order])


def sliding_window(file: GgufFile) -> int | None:
    """Return the tokens that attention reaches back, where a file limits them."""
    return file.count(f"{file.text(ARCHITECTURE)}.attention.sliding_window", 0) or None


def halves_of_interleaved(rows: int, heads: int) -> np.ndarray:
    """Return which stored row each row is: of each head first those at even positions, then those
    at odd places.
    """
    return np.arange(rows).reshape(heads, -1, 2).transpose(0, 2, 1).reshape(-1)


def _check_options(file: GgufFile, family: str) -> None:
    for name, neutral in NEUTRAL.items():
        value = file.metadata.get(f"{family}.{name}", neutral)
        require(value == neutral, f"`{file.path}` has {family}.{name} `{value}`; only `{neutral}` can be computed")


def _sizes(file: GgufFile, family: str) -> Sizes:
    def count(name: str, default: int | None = None) -> int:
        return file.count(f"{family}.{name}") if default is None else file.count(f"{family}.{name}", default)

    width, heads = count("embedding_length"), count("attention.head_count")
    require(heads >= 1, f"`{file.path}` has {family}.attention.head_count `{heads}`; at least 1 is needed")
    head_width = count("attention.key_length", width // heads)
    require(
        count("attention.value_length", head_width) == head_width,
        f"`{file.path}` has values of another width than keys, which cannot be computed",
    )
    tokens = len(file.array("tokenizer.ggml.tokens", str))
    sizes = Sizes(
        layers=count("block_count"),
        width=width,
        heads=heads,
        kv_heads=count("attention.head_count_kv", heads),
        head_width=head_width,
        inner=count("feed_forward_length"),
        vocabulary=tokens,
        context_length=count("context_length"),
    )
    sizes.check(f"`{file.path}`")
    return sizes


def _rope(file: GgufFile, family: str, head_width: int) -> Rope:
    base = file.number(f"{family}.rope.freq_base", 10000.0)
    width = file.count(f"{family}.rope.dimension_count", head_width)
    require(
        base > 1 and 2 <= width <= head_width and width % 2 == 0,
        f"`{file.path}` turns {width} dimensions by a base of {base}; "
        f"an even number up to {head_width} and a larger base than 1 were expected",
    )
    rope = plain_rope(width, base)
    if file.has(FREQUENCY_FACTORS):  # Llama 3.1's scaling, computed by who wrote the file
        rope = replace(rope, frequencies=rope.frequencies / file.vector(FREQUENCY_FACTORS, width // 2).astype(np.float64))
    return _scaled(file, family, rope, base)


def _scaled(file: GgufFile, family: str, rope: Rope, base: float) -> Rope:
    kind = file.text(f"{family}.rope.scaling.type", "linear")  # llama.cpp's default, too
    factor = file.number(f"{family}.rope.scaling.factor", file.number(f"{family}.rope.scale_linear", 1.0))
    if kind == "none" or factor in (0, 1):
        return rope
    if kind == "linear":
        return linear_rope(rope, factor)
    require(kind == "yarn", f"`{file.path}` has {family}.rope.scaling.type `{kind}`; `none`, `linear` or `yarn` was expected")
    original = file.count(f"{family}.rope.scaling.original_context_length")
    scaled = yarn_rope(rope, base, factor, original)
    return replace(scaled, magnitude=scaled.magnitude * file.number(f"{family}.rope.scaling.attn_factor", 1.0))
