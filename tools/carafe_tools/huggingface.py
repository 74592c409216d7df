"""A Hugging Face GPT-2 folder: `config.json`, the weights in one or several .safetensors files, the
tokenizer's files.

Goes in: the folder. Comes out: dimensions, and each tensor by its name and shape, read when it is
asked for and not before, so that memory holds one of them at a time. A configuration that computes
something else than GPT-2 is refused by its key, and a tensor that no role asked for is refused by
name, because a forgotten one would give fluent nonsense.
"""

from pathlib import Path
from typing import Any

import numpy as np

from carafe_tools.errors import require
from carafe_tools.gpt2 import Dimensions
from carafe_tools.json_file import read_json_object, read_text
from carafe_tools.manifest import files_sha256
from carafe_tools.safetensors_file import STORED, StoredTensor, read_header
from carafe_tools.tokenizer_files import from_gpt2_files

CONFIG, WEIGHTS, SHARDS = "config.json", "model.safetensors", "model.safetensors.index.json"
SIZES = {
    "layers": "n_layer",
    "width": "n_embd",
    "heads": "n_head",
    "positions": "n_positions",
    "vocabulary": "vocab_size",
}
PREFIX = "transformer."
HEAD = "lm_head.weight"
MASK_SUFFIXES = (".attn.bias", ".attn.masked_bias")  # the causal mask, which old files hold
TANH_GELUS = ("gelu_new", "gelu_pytorch_tanh")
# options that change what is computed, with the values that GPT-2 has
FIXED_OPTIONS: dict[str, tuple[Any, ...]] = {
    "activation_function": TANH_GELUS,
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
}


class TensorFolder:
    """A folder whose tensors can be read, by their names without a prefix."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self.folder = folder
        self.files = weight_files(folder)
        self._asked: set[str] = set()
        self._tensors: dict[str, StoredTensor] = {}  # by name without prefix
        for path in self.files:
            found = {name.removeprefix(prefix): tensor for name, tensor in read_header(path).items()}
            twice = sorted(found.keys() & self._tensors.keys())
            require(not twice, f"`{path}` has a tensor `{(twice or [''])[0]}` that an earlier shard has, too")
            self._tensors |= found

    def has(self, name: str) -> bool:
        """Say whether the folder has a tensor."""
        return name in self._tensors

    def stored(self, name: str, shape: tuple[int, ...]) -> StoredTensor:
        """Return where a tensor lies: it must have this shape, and a type that can be read."""
        require(name in self._tensors, f"`{self.files[0]}` has no tensor `{name}`")
        self._asked.add(name)
        stored = self._tensors[name]
        what = f"the tensor `{name}` of `{stored.path}`"
        require(stored.shape == shape, f"{what} has shape {list(stored.shape)}; {list(shape)} was expected")
        known = ", ".join(f"`{kind}`" for kind in STORED)
        require(stored.type in STORED, f"{what} has type `{stored.type}`; one of {known} was expected")
        return stored

    def tensor(self, name: str, shape: tuple[int, ...], rows: slice = slice(None)) -> np.ndarray:
        """Return a tensor, or a range of its rows, as f32: what is read must be finite."""
        stored = self.stored(name, shape)
        values = stored.read(rows)
        is_finite = bool(np.isfinite(values).all())
        require(is_finite, f"the tensor `{name}` of `{stored.path}` holds values that are not finite")
        return values

    def check_asked(self, what: str, ignored: tuple[str, ...] = ()) -> None:
        """Refuse tensors that nobody asked for, but for those whose names end in a way that is
        known to hold no weights.
        """
        extra = sorted(name for name in self._tensors if name not in self._asked and not name.endswith(ignored))
        require(not extra, f"`{self.files[0]}` has a tensor `{(extra or [''])[0]}` that {what} has no role for")


class HuggingFaceFolder(TensorFolder):
    """A GPT-2's folder."""

    def __init__(self, folder: Path) -> None:
        config = read_json_object(folder / CONFIG)
        self.dimensions = _dimensions(config, folder / CONFIG)
        self.epsilon = float(config["layer_norm_epsilon"])
        self.is_tied = bool(config.get("tie_word_embeddings", True))
        super().__init__(folder, PREFIX)

    def check_complete(self) -> None:
        """Refuse tensors that nobody asked for, and a head that contradicts the configuration."""
        if self.is_tied and HEAD in self._tensors:
            size = self.dimensions
            shape = (size.vocabulary, size.width)
            require(
                np.array_equal(self.tensor(HEAD, shape), self.tensor("wte.weight", shape)),
                f"`{self.folder / CONFIG}` ties the head to the token embedding, but `{HEAD}` differs from `wte.weight`; "
                "if it is meant, `tie_word_embeddings` must be false",
            )
        self.check_asked("a GPT-2", MASK_SUFFIXES)

    def tokenizer(self) -> str:
        """Return the contents of `tokenizer.json`, made of `vocab.json` and `merges.txt` where the
        folder has only these.
        """
        path = self.folder / "tokenizer.json"
        if path.is_file():
            return read_text(path)
        parts = [self.folder / name for name in ("vocab.json", "merges.txt")]
        for part in parts:
            require(part.is_file(), f"`{self.folder}` has no `tokenizer.json`, nor `{part.name}` to make one of")
        return from_gpt2_files(*parts)


def is_huggingface(path: Path) -> bool:
    """Say whether a path is a folder with a configuration."""
    return path.is_dir() and (path / CONFIG).is_file()


def source_sha256(path: Path) -> str:
    """Return the SHA-256 of what a model is made from: a file, or the weights of a folder in the
    order of names.
    """
    return files_sha256(weight_files(path) if path.is_dir() else [path])


def source_bytes(path: Path) -> int:
    """Return the size of what a model is made from."""
    return sum(file.stat().st_size for file in (weight_files(path) if path.is_dir() else [path]))


def weight_files(folder: Path) -> list[Path]:
    """Return the weights' files in the order of names."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    index = folder / SHARDS
    require(index.is_file(), f"`{folder}` has neither `{WEIGHTS}` nor `{SHARDS}`")
    places = read_json_object(index).get("weight_map")
    require(isinstance(places, dict) and len(places) > 0, f"`{index}` has no `weight_map`")
    names = sorted(set(map(str, places.values())))
    for name in names:
        require(name == Path(name).name, f"`{index}` names a file `{name}`; a plain name was expected")
        require((folder / name).is_file(), f"`{index}` names a file `{name}` that `{folder}` does not have")
    return [folder / name for name in names]


def _dimensions(config: dict[str, Any], path: Path) -> Dimensions:
    for name in (*SIZES.values(), "layer_norm_epsilon", "activation_function"):
        require(name in config, f"`{path}` has no `{name}`")
    for name, known in FIXED_OPTIONS.items():
        value = config.get(name, known[0])
        require(value in known, f"`{path}` has {name} `{value}`; {' or '.join(f'`{one}`' for one in known)} was expected")
    dimensions = Dimensions(**{ours: config[theirs] for ours, theirs in SIZES.items()})
    dimensions.check(f"`{path}`")
    inner = config.get("n_inner") or 4 * dimensions.width
    require(inner == 4 * dimensions.width, f"`{path}` has n_inner `{inner}`; {4 * dimensions.width} was expected")
    return dimensions
