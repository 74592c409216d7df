"""Writes a Hugging Face GPT-2 folder of random weights, for tests and for measuring shapes whose
real weights are not at hand.

Goes in: dimensions, a seed and a tokenizer. Comes out: `config.json`, `model.safetensors` and
`tokenizer.json`. Tensors are drawn and written one at a time, so that the largest shape needs no
more memory than its largest tensor. The format is that of https://huggingface.co/docs/safetensors:
the length of a JSON header, the header, the tensors' bytes.
"""

import json
import math
import shutil
import struct
from pathlib import Path

import numpy as np

from carafe_tools.gpt2 import Dimensions
from carafe_tools.huggingface import CONFIG, SIZES, WEIGHTS

ALIGNMENT = 8


def write_huggingface(folder: Path, dimensions: Dimensions, seed: int, tokenizer: Path) -> None:
    """Write the folder."""
    dimensions.check("the random model")
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {theirs: getattr(dimensions, ours) for ours, theirs in SIZES.items()}
    config = {"model_type": "gpt2", **sizes, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5}
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    shutil.copyfile(tokenizer, folder / "tokenizer.json")
    _write_weights(folder / WEIGHTS, _shapes(dimensions), np.random.default_rng(seed), 0.02 if dimensions.width >= 256 else 0.1)


def _write_weights(path: Path, shapes: dict[str, tuple[int, ...]], generator: np.random.Generator, deviation: float) -> None:
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in shapes.items():
            is_gamma = "ln_" in name and name.endswith("weight")
            values = generator.standard_normal(shape, dtype=np.float32) * np.float32(deviation)
            file.write((values + np.float32(is_gamma)).tobytes())


def _shapes(dimensions: Dimensions) -> dict[str, tuple[int, ...]]:
    E = dimensions.width
    shapes: dict[str, tuple[int, ...]] = {"wte.weight": (dimensions.vocabulary, E), "wpe.weight": (dimensions.positions, E)}
    linears = {"attn.c_attn": (E, 3 * E), "attn.c_proj": (E, E), "mlp.c_fc": (E, 4 * E), "mlp.c_proj": (4 * E, E)}
    norms = ["ln_f"]
    for layer in range(dimensions.layers):
        for name, shape in linears.items():
            shapes |= {f"h.{layer}.{name}.weight": shape, f"h.{layer}.{name}.bias": shape[1:]}
        norms += [f"h.{layer}.ln_1", f"h.{layer}.ln_2"]
    return shapes | {f"{norm}.{part}": (E,) for norm in norms for part in ("weight", "bias")}
