"""Reads a model of the llama kind from a Hugging Face folder: `config.json`, and the weights in
.safetensors files.

Goes in: the folder. Comes out: a `Llama`. What a configuration may hold and what it means is up to
transformers; an option that changes what is computed and is not known here is refused by its key,
and so is a tensor that no role asked for. Whether there are biases, norms of queries and keys, or a
head of its own, the tensors show by being there.
"""

from pathlib import Path
from typing import Any

import numpy as np

from carafe_tools.errors import ConversionError, require
from carafe_tools.gpt2 import Real
from carafe_tools.huggingface import CONFIG, TensorFolder, is_huggingface
from carafe_tools.json_file import read_json_object
from carafe_tools.llama import (
    Llama,
    LlamaLayer,
    Projection,
    Rope,
    Sizes,
    linear_rope,
    llama3_rope,
    plain_rope,
    yarn_rope,
)
from carafe_tools.stored_weights import Weights

FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "smollm3")
PREFIX = "model."
HEAD = "lm_head.weight"
IGNORED = ("rotary_emb.inv_freq",)  # computed from the configuration, which old files hold
BITS = {"F32": 32, "F16": 16, "BF16": 16}
BF16_EXPONENT = 0x7F80  # all bits of it set: not finite
SILU = ("silu", "swish")


def is_llama_folder(path: Path) -> bool:
    """Say whether a path is a folder of a family of this kind, by its configuration."""
    return is_huggingface(path) and read_json_object(path / CONFIG).get("model_type") in FAMILIES


def read_llama_folder(folder: Path, context_length: int) -> Llama:
    """Return the model in a folder, every tensor of which must have a role, with positions for a
    context of some length.
    """
    config = _Config(folder)
    tensors = TensorFolder(folder, PREFIX)
    sizes = config.sizes(context_length)
    tokens = _matrix(tensors, "embed_tokens.weight", (sizes.vocabulary, sizes.width))
    positions = config.layers_with_positions(sizes.layers)
    model = Llama(
        sizes,
        config.number("rms_norm_eps"),
        config.rope(sizes.head_width),
        tokens,
        [_layer(tensors, f"layers.{index}.", sizes, positions[index]) for index in range(sizes.layers)],
        tensors.tensor("norm.weight", (sizes.width,)),
        _head(tensors, config, tokens),
    )
    tensors.check_asked("a model of the llama kind", IGNORED)
    return model


class _Config:
    """A configuration, whose values are checked as they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / CONFIG
        self.values = read_json_object(self.path)
        activation = self.values.get("hidden_act", SILU[0])
        require(activation in SILU, f"`{self.path}` has hidden_act `{activation}`; `{SILU[0]}` was expected")
        self.is_tied: bool | None = self.values.get("tie_word_embeddings")

    def count(self, name: str, default: int | None = None) -> int:
        value = self.values.get(name)
        value = default if value is None else value
        is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        require(is_count, f"`{self.path}` has {name} `{value}`; a whole number of at least 1 was expected")
        return value

    def number(self, name: str, values: dict[str, Any] | None = None, default: float | None = None) -> float:
        value = (self.values if values is None else values).get(name)
        value = default if value is None else value
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
        require(is_number, f"`{self.path}` has {name} `{value}`; a positive number was expected")
        return float(value)

    def sizes(self, context_length: int) -> Sizes:
        width, heads = self.count("hidden_size"), self.count("num_attention_heads")
        sizes = Sizes(
            layers=self.count("num_hidden_layers"),
            width=width,
            heads=heads,
            kv_heads=self.count("num_key_value_heads", heads),
            head_width=self.count("head_dim", max(width // heads, 1)),
            inner=self.count("intermediate_size"),
            vocabulary=self.count("vocab_size"),
            context_length=context_length,
        )
        sizes.check(f"`{self.path}`")
        return sizes

    def layers_with_positions(self, layers: int) -> list[bool]:
        # sic: 1 where there are positions
        flags = self.values.get("no_rope_layers") or [1] * layers
        is_list = isinstance(flags, list) and len(flags) == layers and all(flag in (0, 1) for flag in flags)
        require(is_list, f"`{self.path}` has no_rope_layers `{flags}`; a 0 or 1 for each of {layers} layers was expected")
        return [flag == 1 for flag in flags]

    def rope(self, head_width: int) -> Rope:
        """Return the rotary positions; newer files have one object for them, older ones a base and
        a scaling.
        """
        own = self.values.get("rope_parameters") or self.values.get("rope_scaling") or {}
        require(isinstance(own, dict), f"`{self.path}` has rope_parameters `{own}`; an object was expected")
        base = self.number("rope_theta", own, self.number("rope_theta", default=10000.0))
        share = self.number("partial_rotary_factor", own, self.number("partial_rotary_factor", default=1.0))
        width = int(head_width * share)
        require(
            base > 1 and width % 2 == 0 and 2 <= width <= head_width,
            f"`{self.path}` turns {width} dimensions by a base of {base:g}; "
            f"an even number up to {head_width} and a larger base than 1 were expected",
        )
        return self._scaled(plain_rope(width, base), base, own)

    def _scaled(self, rope: Rope, base: float, own: dict[str, Any]) -> Rope:
        kind = own.get("rope_type", own.get("type", "default"))
        if kind == "default":
            return rope
        scalings = {"linear": self._linear, "llama3": self._llama3, "yarn": self._yarn}
        known = ", ".join(f"`{name}`" for name in scalings)
        require(kind in scalings, f"`{self.path}` has rope_type `{kind}`; one of `default`, {known} was expected")
        return scalings[kind](rope, base, own)

    def _linear(self, rope: Rope, base: float, own: dict[str, Any]) -> Rope:
        return linear_rope(rope, self.number("factor", own))

    def _llama3(self, rope: Rope, base: float, own: dict[str, Any]) -> Rope:
        low, high = self.number("low_freq_factor", own), self.number("high_freq_factor", own)
        require(low < high, f"`{self.path}` has low_freq_factor `{low}`; less than high_freq_factor `{high}` was expected")
        return llama3_rope(rope, self.number("factor", own), low, high, int(self._original(own)))

    def _yarn(self, rope: Rope, base: float, own: dict[str, Any]) -> Rope:
        for name, neutral in (("mscale", None), ("mscale_all_dim", None), ("truncate", True)):
            value = own.get(name, neutral)
            require(value == neutral, f"`{self.path}` has {name} `{value}` of YaRN, which cannot be computed")
        fast, slow = self.number("beta_fast", own, 32), self.number("beta_slow", own, 1)
        magnitude = None if own.get("attention_factor") is None else self.number("attention_factor", own)
        return yarn_rope(rope, base, self.number("factor", own), int(self._original(own)), fast, slow, magnitude)

    def _original(self, own: dict[str, Any]) -> float:
        name = "original_max_position_embeddings"
        return self.number(name, own, self.values.get(name) or self.values.get("max_position_embeddings"))


def _layer(tensors: TensorFolder, prefix: str, sizes: Sizes, has_positions: bool) -> LlamaLayer:
    E, F, queries, keys = sizes.width, sizes.inner, sizes.heads * sizes.head_width, sizes.kv_heads * sizes.head_width

    def norm(name: str) -> np.ndarray:
        return tensors.tensor(f"{prefix}{name}.weight", (E,))

    def head_norm(name: str) -> np.ndarray | None:
        name = f"{prefix}self_attn.{name}.weight"
        return tensors.tensor(name, (sizes.head_width,)) if tensors.has(name) else None

    def projection(name: str, shape: tuple[int, int]) -> Projection:
        bias = f"{prefix}{name}.bias"
        weights = _matrix(tensors, f"{prefix}{name}.weight", shape)
        return Projection(weights, tensors.tensor(bias, shape[:1]) if tensors.has(bias) else None)

    return LlamaLayer(
        norm("input_layernorm"),
        projection("self_attn.q_proj", (queries, E)),
        projection("self_attn.k_proj", (keys, E)),
        projection("self_attn.v_proj", (keys, E)),
        projection("self_attn.o_proj", (E, queries)),
        head_norm("q_norm"),
        head_norm("k_norm"),
        norm("post_attention_layernorm"),
        projection("mlp.gate_proj", (F, E)),
        projection("mlp.up_proj", (F, E)),
        projection("mlp.down_proj", (E, F)),
        has_positions,
    )


def _matrix(tensors: TensorFolder, name: str, shape: tuple[int, int]) -> Weights:
    stored = tensors.stored(name, shape)

    def read(rows: slice) -> Real:
        values = stored.read_stored(rows)
        is_finite = np.isfinite(values) if values.dtype != np.uint16 else (values & BF16_EXPONENT) != BF16_EXPONENT
        if not is_finite.all():
            raise ConversionError(f"the tensor `{name}` of `{stored.path}` holds values that are not finite")
        return Real(values)

    return Weights(shape, read, BITS[stored.type])


def _head(tensors: TensorFolder, config: _Config, tokens: Weights) -> Weights:
    """Return the head, which is the token embedding where the configuration or the lack of another
    says so.
    """
    if config.is_tied is False or (config.is_tied is None and tensors.has(HEAD)):
        return _matrix(tensors, HEAD, tokens.shape)
    if tensors.has(HEAD):
        pairs = zip(_matrix(tensors, HEAD, tokens.shape).pieces(), tokens.pieces(), strict=True)
        same = all(np.array_equal(mine.values, theirs.values) for mine, theirs in pairs)
        require(
            same,
            f"`{config.path}` ties the head to the token embedding, but `{HEAD}` differs from it; "
            "if it is meant, `tie_word_embeddings` must be false",
        )
    return tokens
