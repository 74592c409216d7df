"""Files of weights: where training stands, so that it can go on, and the model it has made.

A checkpoint is one .safetensors file: weights, the optimiser's state, the number of steps done. A
model is a Hugging Face folder as `carafe_tools` converts it: `config.json`, `model.safetensors`,
`tokenizer.json`.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as as_bytes

from carafe_tools.errors import ConversionError, require
from carafe_tools.folder import atomic_file
from carafe_tools.gpt2 import Dimensions
from carafe_tools.huggingface import CONFIG, SIZES, WEIGHTS, HuggingFaceFolder
from carafe_tools.tokenizer_files import eos_token, load
from carafe_train.model import EPSILON, Weights, shapes
from carafe_train.optimiser import State, fresh

WEIGHT, STATE = "weight.", "state."
STEP, TOKENS = "step", "tokens"


@dataclass
class Training:
    """Where training stands."""

    weights: Weights
    state: State
    step: int  # steps done
    tokens: int  # tokens that these steps saw

    @classmethod
    def begun(cls, weights: Weights) -> "Training":
        """Return the training that begins with these weights."""
        return cls(weights, fresh(weights), 0, 0)


def save(path: Path, training: Training) -> None:
    """Write a checkpoint; the one before stays until this one is whole."""
    tensors = {WEIGHT + name: np.asarray(value) for name, value in training.weights.items()}
    tensors |= {STATE + name: np.asarray(value) for name, value in training.state.items()}
    with atomic_file(path) as building:
        building.write_bytes(as_bytes(tensors, {STEP: str(training.step), TOKENS: str(training.tokens)}))


def restore(path: Path, size: Dimensions) -> Training:
    """Return what a checkpoint holds, which must be of a model of these dimensions."""
    try:
        with safe_open(path, framework="numpy") as file:
            names = file.keys()  # the file is no mapping
            tensors = {name: file.get_tensor(name) for name in names}
            about = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise ConversionError(f"failed to read the checkpoint `{path}`: {error}") from error
    found = {name.removeprefix(WEIGHT): value.shape for name, value in tensors.items() if name.startswith(WEIGHT)}
    for name, shape in shapes(size).items():
        require(
            found.get(name) == shape,
            f"the checkpoint `{path}` has `{name}` of shape {list(found.get(name, ()))}; the model to train has {list(shape)}",
        )
    require(len(found) == len(shapes(size)), f"the checkpoint `{path}` is of a model with more layers than the one to train")
    weights = {name: jnp.asarray(tensors[WEIGHT + name]) for name in shapes(size)}
    state = {name.removeprefix(STATE): jnp.asarray(value) for name, value in tensors.items() if name.startswith(STATE)}
    return Training(weights, state, int(about[STEP]), int(about[TOKENS]))


def read_model(folder: Path) -> tuple[Dimensions, Weights]:
    """Return dimensions and weights of a Hugging Face folder whose head is tied."""
    source = HuggingFaceFolder(folder)
    require(source.is_tied, f"`{folder}` has a head of its own; only models with a tied head are trained")
    require(source.epsilon == EPSILON, f"`{folder}` has layer_norm_epsilon `{source.epsilon}`; {EPSILON} was expected")
    weights = {name: jnp.asarray(source.tensor(name, shape)) for name, shape in shapes(source.dimensions).items()}
    source.check_complete()
    return source.dimensions, weights


def write_model(folder: Path, size: Dimensions, weights: Weights, tokenizer: Path) -> None:
    """Write a Hugging Face folder."""
    end = eos_token(load(tokenizer))
    config = {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        **{theirs: getattr(size, ours) for ours, theirs in SIZES.items()},
        "activation_function": "gelu_new",
        "layer_norm_epsilon": EPSILON,
        "bos_token_id": end,  # it begins a text too
        "eos_token_id": end,
        "tie_word_embeddings": True,
    }
    with atomic_file(folder / WEIGHTS) as building:
        building.write_bytes(as_bytes({name: np.asarray(value) for name, value in weights.items()}, {"format": "pt"}))
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    if tokenizer.resolve() != (folder / "tokenizer.json").resolve():
        shutil.copyfile(tokenizer, folder / "tokenizer.json")
