"""`image-matrix`: makes JPEG and BMP files of every kind, and what must be read of each.

Goes in: nothing. Comes out, in `fixtures/image-matrix`, for each of `jpeg-matrix`, `jpeg-irregular`
and `bmp-matrix`: a `.bin` with the files one after another, and a `.json` with the name and the
length of each, its size in pixels and the hash (FNV-1a, 64 bits) of its RGB pixels. A file that
must be refused has no hash. The same packages give the same bytes. With `--all` every combination
of the JPEG matrix is written, one file each, with its pixels beside it: width and height as 32-bit
numbers, then red, green, blue.

    python -m carafe_tools image-matrix --out fixtures/image-matrix
    python -m carafe_tools image-matrix --all --out FOLDER
"""

import argparse
import json
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from carafe_tools import bmp_matrix, jpeg_irregular, jpeg_matrix

Files = Iterable[tuple[str, bytes, np.ndarray | None]]


def add_command(subparsers: Any) -> None:
    """Add `image-matrix` to the commands."""
    parser = subparsers.add_parser("image-matrix", help="make images of every kind, with their pixels", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", type=Path, default=Path("fixtures/image-matrix"), help="folder of the fixtures (%(default)s)")
    parser.add_argument("--all", action="store_true", help="write every combination of the JPEG matrix as a file of its own")
    parser.set_defaults(run=lambda options: make_all(options.out) if options.all else make(options.out))


def make(out: Path) -> dict[str, Any]:
    """Write what the tests read."""
    matrices: dict[str, Files] = {
        "jpeg-matrix": jpeg_matrix.files(),
        "jpeg-irregular": jpeg_irregular.files(),
        "bmp-matrix": bmp_matrix.files(),
    }
    return {"out": str(out), **{name: _pack(out, name, files) for name, files in matrices.items()}}


def make_all(out: Path) -> dict[str, Any]:
    """Write every combination of the JPEG matrix as a file."""
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    for name, contents, pixels in jpeg_matrix.files(every=True):
        (out / f"{name}.jpg").write_bytes(contents)
        height, width, _ = pixels.shape
        (out / f"{name}.rgb").write_bytes(struct.pack("<II", width, height) + pixels.tobytes())
        count += 1
    return {"out": str(out), "files": count}


def _pack(out: Path, name: str, files: Files) -> int:
    made = list(files)
    (out / f"{name}.bin").write_bytes(b"".join(contents for _, contents, _ in made))
    lines = ",\n ".join(json.dumps(_entry(*file)) for file in made)
    (out / f"{name}.json").write_text(f'{{"pillow": "{PIL.__version__}", "files": [\n {lines}\n]}}\n', encoding="utf-8")
    return len(made)


def _entry(name: str, contents: bytes, pixels: np.ndarray | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": name, "bytes": len(contents)}
    if pixels is None:
        return entry
    height, width, _ = pixels.shape
    return {**entry, "width": width, "height": height, "fnv": fnv(pixels.tobytes())}


def fnv(values: bytes) -> str:
    """Return the FNV-1a hash, 64 bits, in hexadecimal."""
    state = 0xCBF29CE484222325
    for value in values:
        state = (state ^ value) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{state:016x}"
