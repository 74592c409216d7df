"""The reference way from an image file to the input of a classifier's graph: Pillow decodes and
scales, numpy lays out.

Goes in: an image file and the `[image]` table of a manifest. Comes out: the pixels that the model
sees, and its input tensor. The image guest does the same in Rust; its choices are made here a
second time: the Exif orientation is applied, transparency is laid over white, 16-bit samples keep
their high byte, colour profiles are not applied.
"""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
TRANSPARENT = ("RGBA", "LA", "PA")


def decode(path: Path) -> Image.Image:
    """Return an image file as an upright RGB image."""
    with Image.open(path) as image:
        image.load()
        upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):  # 16-bit grey, which Pillow would clip
        high_bytes = np.asarray(upright).astype(np.uint16) >> 8
        upright = Image.fromarray(high_bytes.astype(np.uint8))
    if upright.mode in TRANSPARENT or "transparency" in upright.info:
        return over_white(upright.convert("RGBA"))
    return upright.convert("RGB")


def over_white(image: Image.Image) -> Image.Image:
    """Return an RGBA image as it looks on a white page, rounded to the nearest."""
    values = np.asarray(image).astype(np.uint32)
    colours, alpha = values[..., :3], values[..., 3:]
    return Image.fromarray(((colours * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8))


def resize(image: Image.Image, rule: dict[str, Any]) -> Image.Image:
    """Return an image in the model's size, by the manifest's resize rule and filter."""
    size, resampling = (rule["width"], rule["height"]), FILTERS[rule["filter"]]
    if rule["resize"] == "stretch":
        return scale(image, size, resampling)
    shorter = min(image.size)
    scaled = scale(image, tuple(side * rule["resize_side"] // shorter for side in image.size), resampling)
    left, top = ((whole - part) // 2 for whole, part in zip(scaled.size, size, strict=True))
    return scaled.crop((left, top, left + size[0], top + size[1]))


def scale(image: Image.Image, size: tuple[int, int], resampling: Image.Resampling) -> Image.Image:
    """Return an image scaled along its rows, then along its columns; Pillow from 13 on chooses the
    order by their cost.
    """
    return image.resize((size[0], image.height), resampling).resize(size, resampling)


def tensor(image: Image.Image, rule: dict[str, Any]) -> np.ndarray:
    """Return the graph's input for an image in the model's size."""
    values = np.asarray(image)[None]
    if rule["pixels"] == "normalised":
        values = (values.astype(np.float32) - np.float32(rule["mean"])) / np.float32(rule["scale"])
    if rule["channels"] == "bgr":
        values = values[..., ::-1]
    return np.ascontiguousarray(values if rule["layout"] == "nhwc" else values.transpose(0, 3, 1, 2))


def read_input(path: Path, rule: dict[str, Any]) -> np.ndarray:
    """Return the graph's input for an image file."""
    return tensor(resize(decode(path), rule), rule)
