"""An open GGUF file: its metadata, each value checked for its type, and its tensors, read when they
are asked for.

Goes in: the path. What the file holds, and where, is what `carafe models inspect` says, whose
reader checks every length, so that no offset of a stranger's file is believed here. A tensor that
nobody asked for is refused by name in the end, because a forgotten one would give fluent nonsense.
"""

from pathlib import Path
from typing import Any

import numpy as np

from carafe_tools.errors import require
from carafe_tools.gguf_blocks import BLOCK_TYPES, unpack
from carafe_tools.gpt2 import Real
from carafe_tools.grouped import Grouped
from carafe_tools.json_file import parse_json_object
from carafe_tools.opening import Carafe
from carafe_tools.stored_weights import Weights

SUFFIX = ".gguf"
_ABSENT = object()


def is_gguf(path: Path) -> bool:
    """Say whether a path is a GGUF file, by its name."""
    return path.is_file() and path.suffix.lower() == SUFFIX


class GgufFile:
    """A file whose metadata and tensors can be asked for."""

    def __init__(self, path: Path, carafe: Carafe) -> None:
        self.path = path
        found = parse_json_object(carafe.inspect(path), f"what `{carafe.path}` says of `{path}`")
        self.metadata: dict[str, Any] = found["metadata"]
        self._tensors = {tensor["name"]: tensor for tensor in found["tensors"]}
        self._asked: set[str] = set()

    def number(self, key: str, default: Any = _ABSENT) -> float:
        """Return a number of the metadata."""
        value = self._value(key, default)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        require(is_number or value is default, f"`{self.path}` has {key} `{value}`; a number was expected")
        return value

    def count(self, key: str, default: Any = _ABSENT) -> int:
        """Return a whole number of the metadata that is not negative."""
        value = self._value(key, default)
        is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        require(is_count or value is default, f"`{self.path}` has {key} `{value}`; a whole number was expected")
        return value

    def text(self, key: str, default: Any = _ABSENT) -> str:
        """Return a text of the metadata."""
        value = self._value(key, default)
        require(isinstance(value, str) or value is default, f"`{self.path}` has {key} `{value}`; a text was expected")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Return a truth value of the metadata."""
        value = self._value(key, default)
        require(isinstance(value, bool), f"`{self.path}` has {key} `{value}`; true or false was expected")
        return value

    def array(self, key: str, kind: type, default: Any = _ABSENT) -> list[Any]:
        """Return a list of the metadata, all of one type; a whole number is a `float`, too."""
        values = self._value(key, default)
        if values is default:
            return values
        kinds = (int, float) if kind is float else kind
        is_list = isinstance(values, list) and all(isinstance(value, kinds) for value in values)
        require(is_list, f"`{self.path}` has no list of {kind.__name__} in {key}")
        return values

    def has(self, name: str) -> bool:
        """Say whether the file has a tensor."""
        return name in self._tensors

    def matrix_types(self) -> set[str]:
        """Return the types of all tensors that are matrices."""
        return {tensor["type"] for tensor in self._tensors.values() if len(tensor["dims"]) > 1}

    def vector(self, name: str, size: int) -> np.ndarray:
        """Return a vector as f32."""
        values = self._unpacked(name, (1, size), (size,))
        require(
            isinstance(values, Real), f"the tensor `{name}` of `{self.path}` is quantised; a vector of real numbers was expected"
        )
        vector = values.dequantised().reshape(size)
        require(bool(np.isfinite(vector).all()), f"the tensor `{name}` of `{self.path}` holds values that are not finite")
        return vector

    def matrix(self, name: str, shape: tuple[int, int]) -> Weights:
        """Return a matrix (out, in), to be read later."""
        kind = self._check(name, shape)["type"]
        return Weights(shape, lambda rows: self._unpacked(name, shape, shape, rows), BLOCK_TYPES[kind].bits)

    def check_complete(self, what: str) -> None:
        """Refuse tensors that nobody asked for."""
        extra = sorted(self._tensors.keys() - self._asked)
        require(not extra, f"`{self.path}` has a tensor `{(extra or [''])[0]}` that {what} has no role for")

    def _value(self, key: str, default: Any) -> Any:
        value = self.metadata.get(key, default)
        require(value is not _ABSENT, f"`{self.path}` has no metadata `{key}`")
        return value

    def _check(self, name: str, shape: tuple[int, ...]) -> dict[str, Any]:
        require(name in self._tensors, f"`{self.path}` has no tensor `{name}`")
        self._asked.add(name)
        tensor = self._tensors[name]
        found = tuple(tensor["dims"][::-1])  # the file counts the fastest dimension first
        what = f"the tensor `{name}` of `{self.path}`"
        require(found == shape, f"{what} has shape {list(found)}; {list(shape)} was expected")
        known = ", ".join(f"`{kind}`" for kind in BLOCK_TYPES)
        require(tensor["type"] in BLOCK_TYPES, f"{what} has type `{tensor['type']}`; one of {known} was expected")
        return tensor

    def _unpacked(self, name: str, shape: tuple[int, int], stored: tuple[int, ...], rows: slice | None = None) -> Grouped | Real:
        """Return a range of rows, all unless given; blocks lie within a row, so its bytes are one
        piece.
        """
        tensor = self._check(name, stored)
        start, stop = (0, shape[0]) if rows is None else (rows.start, rows.stop)
        row = tensor["size"] // shape[0]
        data = np.fromfile(self.path, np.uint8, (stop - start) * row, offset=tensor["start"] + start * row)
        return unpack(data, tensor["type"], (stop - start, shape[1]), f"the tensor `{name}` of `{self.path}`")
