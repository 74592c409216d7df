"""Where the weights of a written .tflite come from: a Hugging Face GPT-2 folder, or a seed.

Goes in: a folder with `config.json` and `model.safetensors` under GPT-2's names, or dimensions and a seed. Comes out: a
`Gpt2` in 8 bits. Every tensor's name and shape is checked where it crosses over, and a tensor that no role asked for is
refused, because a forgotten one would give fluent nonsense.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from carafe_tools.errors import ConversionError, require
from carafe_tools.gpt2 import Dimensions, Gpt2, Layer, Linear, Norm, quantise

CONFIG = {
    "layers": "n_layer",
    "width": "n_embd",
    "heads": "n_head",
    "positions": "n_positions",
    "vocabulary": "vocab_size",
}
PREFIX = "transformer."
IGNORED_SUFFIXES = (".attn.bias", ".attn.masked_bias", "lm_head.weight")  # the causal mask, and the tied head again
SEED = 20190214
GELU = "gelu_new"  # the one with tanh

# a source of f32 tensors: role's Hugging Face name and shape -> values
Source = Callable[[str, tuple[int, ...]], np.ndarray]


def from_folder(folder: Path) -> Gpt2:
    """Return the 8-bit model in a Hugging Face GPT-2 folder."""
    config = _config(folder / "config.json")
    dimensions = Dimensions(**{ours: config[theirs] for ours, theirs in CONFIG.items()})
    dimensions.check(f"`{folder / 'config.json'}`")
    path = folder / "model.safetensors"
    try:
        with safe_open(path, framework="numpy") as file:
            names = {name.removeprefix(PREFIX): name for name in file.keys()}  # noqa: SIM118 - not a mapping
            asked: set[str] = set()

            def tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
                require(name in names, f"`{path}` has no tensor `{name}`")
                asked.add(name)
                return _checked(file.get_tensor(names[name]), shape, f"the tensor `{name}` of `{path}`")

            model = _assemble(dimensions, tensor, config["layer_norm_epsilon"], transposed=True)
            extra = sorted(name for name in names if name not in asked and not name.endswith(IGNORED_SUFFIXES))
    except (OSError, SafetensorError) as error:
        raise ConversionError(f"failed to read `{path}`: {error}") from error
    require(not extra, f"`{path}` has a tensor `{(extra or [''])[0]}` that a GPT-2 has no place for")
    return model


def random(dimensions: Dimensions, seed: int = SEED) -> Gpt2:
    """Return a model of the given dimensions with random weights, the same for the same seed.

    The spread is wider than at a real model's start, so that attention and logits are uneven enough to compare.
    """
    dimensions.check("the random model")
    generator = np.random.default_rng(seed)
    deviation = 0.02 if dimensions.width >= 256 else 0.1

    def tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
        values = generator.standard_normal(shape, dtype=np.float32) * np.float32(deviation)
        is_gamma = ".ln_" in f".{name}" and name.endswith("weight")
        return values + np.float32(1) if is_gamma else values

    return _assemble(dimensions, tensor, epsilon=1e-5, transposed=False)


def _assemble(dimensions: Dimensions, tensor: Source, epsilon: float, transposed: bool) -> Gpt2:
    """Ask the source for each tensor in order and put it in its role; GPT-2's files hold matrices as (in, out)."""
    width = dimensions.width

    def norm(name: str) -> Norm:
        return Norm(tensor(f"{name}.weight", (width,)), tensor(f"{name}.bias", (width,)), epsilon)

    def linear(name: str, outputs: int, inputs: int) -> Linear:
        matrix = tensor(f"{name}.weight", (inputs, outputs)).T if transposed else tensor(name, (outputs, inputs))
        return Linear(quantise(np.ascontiguousarray(matrix)), tensor(f"{name}.bias", (outputs,)))

    def layer(name: str) -> Layer:
        return Layer(
            norm(f"{name}.ln_1"),
            linear(f"{name}.attn.c_attn", 3 * width, width),
            linear(f"{name}.attn.c_proj", width, width),
            norm(f"{name}.ln_2"),
            linear(f"{name}.mlp.c_fc", 4 * width, width),
            linear(f"{name}.mlp.c_proj", width, 4 * width),
        )

    return Gpt2(
        dimensions,
        quantise(tensor("wte.weight", (dimensions.vocabulary, width))),
        quantise(tensor("wpe.weight", (dimensions.positions, width))),
        [layer(f"h.{index}") for index in range(dimensions.layers)],
        norm("ln_f"),
    )


def _config(path: Path) -> dict:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConversionError(f"failed to read `{path}`: {error}") from error
    for name in (*CONFIG.values(), "layer_norm_epsilon", "activation_function"):
        require(name in config, f"`{path}` has no `{name}`")
    activation = config["activation_function"]
    require(activation == GELU, f"`{path}` has activation_function `{activation}`; only `{GELU}` is supported")
    return config


def _checked(values: np.ndarray, shape: tuple[int, ...], what: str) -> np.ndarray:
    require(values.shape == shape, f"{what} has shape {list(values.shape)}; {list(shape)} was expected")
    require(values.dtype == np.float32, f"{what} has type `{values.dtype}`; `float32` was expected")
    require(bool(np.isfinite(values).all()), f"{what} holds values that are not finite")
    return values
