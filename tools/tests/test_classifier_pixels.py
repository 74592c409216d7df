"""The reference from an image file to a graph's input: what the image guest is compared with."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from carafe_tools.classifier_pixels import decode, read_input, resize, tensor

RULE = {"width": 2, "height": 1, "layout": "nhwc", "channels": "rgb", "resize": "stretch", "filter": "bilinear", "pixels": "raw"}
PIXELS = np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)


def saved(image: Image.Image, path: Path) -> Path:
    image.save(path)
    return path


def test_raw_pixels_stay_as_they_are(tmp_path: Path) -> None:
    path = saved(Image.fromarray(PIXELS), tmp_path / "a.png")
    assert read_input(path, RULE).tolist() == [PIXELS.tolist()]


def test_channels_first_and_bgr_change_the_order() -> None:
    found = tensor(Image.fromarray(PIXELS), RULE | {"layout": "nchw", "channels": "bgr"})
    assert found.tolist() == [[[[3, 6]], [[2, 5]], [[1, 4]]]]


def test_mean_and_scale_follow_their_colour_into_bgr() -> None:
    rule = RULE | {"channels": "bgr", "pixels": "normalised", "mean": [1, 0, 3], "scale": [1, 2, 4]}
    found = tensor(Image.fromarray(PIXELS), rule)
    assert found.dtype == np.float32
    assert found.tolist() == [[[[0, 1, 0], [0.75, 2.5, 3]]]]


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    path = saved(
        Image.fromarray(np.array([[[10, 20, 30, 0], [10, 20, 30, 255], [10, 20, 30, 128]]], np.uint8)), tmp_path / "a.png"
    )
    assert np.asarray(decode(path)).tolist() == [[[255, 255, 255], [10, 20, 30], [132, 137, 142]]]


def test_sixteen_bit_grey_keeps_its_high_byte(tmp_path: Path) -> None:
    path = saved(Image.fromarray(np.array([[0x1234, 0xFFFF]], np.uint16)), tmp_path / "a.png")
    assert np.asarray(decode(path)).tolist() == [[[0x12] * 3, [0xFF] * 3]]


@pytest.mark.parametrize(("size", "left", "top"), [((10, 4), 3, 0), ((4, 10), 0, 3), ((4, 4), 0, 0), ((9, 4), 2, 0)])
def test_a_crop_takes_the_centre(size: tuple[int, int], left: int, top: int) -> None:
    values = np.arange(size[0] * size[1] * 3, dtype=np.uint8).reshape(size[1], size[0], 3)
    rule = RULE | {"width": 4, "height": 4, "resize": "crop", "resize_side": 4}
    assert np.array_equal(np.asarray(resize(Image.fromarray(values), rule)), values[top : top + 4, left : left + 4])
