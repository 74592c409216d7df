"""`images`: makes the odd images that the decoders are tested with, and the golden results that
classification must reach.

Goes in: the bundled pictures and a classifier's model folder. Comes out, in `fixtures/images`: the
files of `images_odd`, pairs of a JPEG file and its pixels, pairs of an image and its resized self,
and `golden.json`: how each file must come out, and for each picture the five best labels that
OpenVINO finds in `exact` on the pixels of the Python reference (`classifier_pixels`). The same
packages give the same bytes.

    python -m carafe_tools images --out fixtures/images
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import Image

from carafe_tools.certificate import load_graph
from carafe_tools.classifier import LABELS, pictures
from carafe_tools.classifier_certificate import best
from carafe_tools.classifier_pixels import decode, read_input, resize
from carafe_tools.environment import compile_model, openvino_version
from carafe_tools.errors import require
from carafe_tools.images_odd import HEIGHT, WIDTH, noise, refused_images, scene, whole_images
from carafe_tools.manifest import read_manifest

GOLDEN = "golden.json"
TOP = 5
PROFILE = "exact"
# Pillow's reading against the scene, where only compression and colour conversion stand between
SCENE_TOLERANCE = 20
POINTS = [(2, 2), (37, 2), (2, 21), (37, 21), (20, 12)]
# forms that show the scene in other colours on purpose
RECOLOURED = ("grey", "alpha", "rgba", "palette", "bit")
RESIZES: list[dict[str, Any]] = [
    {"width": 16, "height": 16, "resize": "stretch", "filter": "bilinear"},
    {"width": 16, "height": 9, "resize": "stretch", "filter": "bicubic"},
    {"width": 60, "height": 50, "resize": "stretch", "filter": "bicubic"},
    {"width": 37, "height": 10, "resize": "stretch", "filter": "bilinear"},
    {"width": 12, "height": 14, "resize": "crop", "resize_side": 17, "filter": "bicubic"},
    {"width": 15, "height": 15, "resize": "crop", "resize_side": 20, "filter": "bilinear"},
]
NOISE_SIZES = ((37, 23), (23, 41))
# kinds of JPEG whose every pixel must be Pillow's, and the options by which Pillow writes them
EXACT: dict[str, dict[str, Any]] = {
    "444": {"subsampling": 0, "quality": 95},
    "422": {"subsampling": 1, "quality": 80},
    "420": {"subsampling": 2, "quality": 80},
    "420-restarts": {"subsampling": 2, "quality": 30, "restart_marker_blocks": 1},
    "grey": {"quality": 80},
}


def add_command(subparsers: Any) -> None:
    """Add `images` to the commands."""
    parser = subparsers.add_parser("images", help="make the image fixtures and the golden results", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", type=Path, default=Path("fixtures/images"), help="folder of the fixtures (%(default)s)")
    parser.add_argument("--model", type=Path, default=Path("models/mobilenet-v2"), help="model folder (%(default)s)")
    parser.set_defaults(run=lambda options: make(options.out, options.model))


def make(out: Path, model: Path) -> dict[str, Any]:
    """Write all fixtures and return what to tell about them."""
    out.mkdir(parents=True, exist_ok=True)
    golden = {
        "made_with": {"openvino": openvino_version(), "pillow": PIL.__version__},
        "model": read_manifest(model)["name"],
        "profile": PROFILE,
        "pictures": _classified(model),
        "images": _odd_images(out),
        "decoded": _decoded(out),
        "resized": _resized(out),
    }
    (out / GOLDEN).write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    top = {name: picture["top"][0]["label"] for name, picture in golden["pictures"].items()}
    return {"out": str(out), "images": len(golden["images"]), "resized": len(golden["resized"]), "pictures": top}


def _classified(model: Path) -> dict[str, Any]:
    rule = read_manifest(model)["image"]
    request = compile_model(load_graph(model), PROFILE).create_infer_request()
    labels = (model / LABELS).read_text(encoding="utf-8").splitlines()
    found = pictures()
    require(bool(found), "the bundled pictures were not found; run this in the project's folder")
    return {path.name: _classify(path, rule, request, labels) for path in found}


def _classify(path: Path, rule: dict[str, Any], request: Any, labels: list[str]) -> dict[str, Any]:
    row = request.infer([read_input(path, rule)])[0][0]
    real = probabilities(row, rule)
    top = [{"index": i, "label": labels[i + rule["label_offset"]], "probability": float(real[i])} for i in best(row, TOP)]
    width, height = decode(path).size
    return {"width": width, "height": height, "top": top}


def probabilities(row: np.ndarray, rule: dict[str, Any]) -> np.ndarray:
    """Return what a row of scores means, as the manifest says it."""
    values = row.astype(np.float64)
    if rule["scores"].startswith("quantised"):
        values = (values - rule["score_zero_point"]) * rule["score_scale"]
    if rule["scores"].endswith("probabilities"):
        return values
    powers = np.exp(values - values.max())
    return powers / powers.sum()


def _odd_images(out: Path) -> list[dict[str, Any]]:
    entries = [_whole(out, name, contents) for name, contents in whole_images()]
    for name, refusal, contents in refused_images():
        (out / name).write_bytes(contents)
        entries.append({"file": name, "refused": refusal})
    return entries


def _whole(out: Path, name: str, contents: bytes) -> dict[str, Any]:
    (out / name).write_bytes(contents)
    image = decode(out / name)
    require(image.size == (WIDTH, HEIGHT), f"`{name}` is read as {image.size} pixels; {(WIDTH, HEIGHT)} was expected")
    expected = scene().convert("L").convert("RGB") if name.startswith("grey") else scene()
    error = np.abs(np.asarray(image).astype(int) - np.asarray(expected)).max()
    recoloured = any(form in name for form in RECOLOURED) and name not in ("grey.jpg", "grey.png", "24-bit.bmp", "32-bit.bmp")
    require(
        recoloured or error <= SCENE_TOLERANCE, f"`{name}` is read {error} off the scene; at most {SCENE_TOLERANCE} was expected"
    )
    points = [[*point, *image.getpixel(point)] for point in POINTS]
    return {"file": name, "width": image.width, "height": image.height, "points": points}


def _decoded(out: Path) -> list[dict[str, Any]]:
    entries = []
    for seed, size in enumerate(NOISE_SIZES):
        for kind, options in EXACT.items():
            name = f"decode-{size[0]}x{size[1]}-{kind}"
            source = noise(*size, seed).convert("L" if kind == "grey" else "RGB")
            source.save(out / f"{name}.jpg", **options)
            decode(out / f"{name}.jpg").save(out / f"{name}.png")
            entries.append({"file": f"{name}.jpg", "expected": f"{name}.png"})
    return entries


def _resized(out: Path) -> list[dict[str, Any]]:
    entries = []
    for seed, size in enumerate(NOISE_SIZES):
        source = noise(*size, seed)
        name = f"resize-{size[0]}x{size[1]}.png"
        source.save(out / name)
        for number, rule in enumerate(RESIZES):
            expected = f"resize-{size[0]}x{size[1]}-{number}.png"
            Image.fromarray(np.asarray(resize(source, rule))).save(out / expected)
            entries.append({"file": name, "expected": expected, **rule})
    return entries
