"""A `.safetensors` file: tensors by name, read when they are asked for, and no more of them than
that.

Goes in: the path. Comes out: each tensor's shape and type, and its rows as f32. The format is that
of https://huggingface.co/docs/safetensors: the length of a JSON header, the header, the tensors'
bytes. f16 and bfloat16 are widened without rounding: each of their numbers is a number of f32,
not-a-numbers and infinities included.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from carafe_tools.errors import ConversionError, require
from carafe_tools.json_file import parse_json_object

LENGTH = struct.Struct("<Q")
LONGEST_HEADER = 100_000_000  # the format's own bound
# how numpy reads each type that becomes f32; it has no bfloat16
STORED = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies in its file."""

    path: Path
    type: str
    shape: tuple[int, ...]
    offset: int  # from the beginning of the file

    def read(self, rows: slice = slice(None)) -> np.ndarray:
        """Return the tensor, or a range of its rows, as f32."""
        return widened(self.read_stored(rows), self.type)

    def read_stored(self, rows: slice = slice(None)) -> np.ndarray:
        """Return the tensor, or a range of its rows, as it is stored; of bfloat16 the bits, as
        u16.
        """
        dtype = STORED[self.type]
        start, stop, _ = rows.indices(self.shape[0]) if self.shape else (0, 1, 1)
        row = math.prod(self.shape[1:])
        count = max(stop - start, 0) * row
        values = np.fromfile(self.path, dtype, count, offset=self.offset + start * row * dtype.itemsize)
        require(len(values) == count, f"failed to read `{self.path}`: it ends within a tensor")
        return values.reshape((stop - start, *self.shape[1:]) if self.shape else ())


def widened(values: np.ndarray, kind: str) -> np.ndarray:
    """Return numbers of a stored type as f32; bfloat16 is the upper half of an f32."""
    if kind == "BF16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32, copy=False)


def read_header(path: Path) -> dict[str, StoredTensor]:
    """Return the tensors of a file by name, each proved to lie within it."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = _header_length(file.read(LENGTH.size), size)
            header = parse_json_object(file.read(length), f"the header of `{path}`")
        begin = LENGTH.size + length
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        return {name: _tensor(path, name, entry, begin, size) for name, entry in entries.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConversionError(f"failed to read `{path}` as a `.safetensors`: {type(error).__name__}: {error}") from error


def _header_length(first: bytes, size: int) -> int:
    if len(first) < LENGTH.size:
        raise ValueError(f"it has {size} bytes; at least {LENGTH.size} were expected")
    (length,) = LENGTH.unpack(first)
    if length > min(size - LENGTH.size, LONGEST_HEADER):
        raise ValueError(f"its header should have {length} bytes; the file has {size}")
    return length


def _tensor(path: Path, name: str, entry: dict[str, Any], begin: int, size: int) -> StoredTensor:
    shape, (start, end) = tuple(map(int, entry["shape"])), map(int, entry["data_offsets"])
    kind = entry["dtype"]
    if not 0 <= start <= end <= size - begin:
        raise ValueError(f"the tensor `{name}` lies at {start} to {end}; {size - begin} bytes are there")
    fills = kind not in STORED or end - start == math.prod(shape) * STORED[kind].itemsize
    if not fills or min(shape, default=0) < 0:
        raise ValueError(f"the tensor `{name}` has {end - start} bytes, unlike its shape {list(shape)} and type {kind}")
    return StoredTensor(path, kind, shape, begin + start)
