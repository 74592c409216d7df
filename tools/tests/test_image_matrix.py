"""The matrices of JPEG and BMP files: they are still the same, and where Pillow reads a BMP it
shows what is expected.
"""

import io
from pathlib import Path

import numpy as np
from conftest import FIXTURES
from PIL import Image

from carafe_tools import bmp_matrix
from carafe_tools.image_matrix import make

# Pillow drops opacity where this lays the picture over white.
WITH_OPACITY = ("32-bit-alpha-header",)


def test_the_matrices_made_again_are_the_same(tmp_path: Path) -> None:
    make(tmp_path)
    made, kept = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in (tmp_path, FIXTURES / "image-matrix"))
    assert made == kept


def test_pillow_shows_what_is_expected_of_bmps_that_it_reads() -> None:
    compared = 0
    for name, contents, pixels in bmp_matrix.files():
        if pixels is None or name.startswith(WITH_OPACITY):
            continue
        try:
            shown = np.asarray(Image.open(io.BytesIO(contents)).convert("RGB"))
        except (OSError, ValueError):
            continue
        assert np.array_equal(shown, pixels), name
        compared += 1
    assert compared > 40
