"""A classifier's folder is proved against its source again, also after a person edited how its
pictures are prepared.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import UNOPENED, Classifier

from carafe_tools.__main__ import main
from carafe_tools.classifier import pictures
from carafe_tools.classifier_pixels import read_input
from carafe_tools.manifest import read_manifest, sha256

pytestmark = [pytest.mark.openvino, pytest.mark.litert]


@pytest.fixture
def folder(tiny_classifier: Classifier, tmp_path: Path) -> Path:
    """A copy of the tiny classifier's folder that may be spoilt."""
    return Path(shutil.copytree(tiny_classifier.folder, tmp_path / "tiny"))


def edit(folder: Path, old: str, new: str) -> None:
    """Replace a line of `model.toml`, which must have it."""
    path = folder / "model.toml"
    text = path.read_text()
    assert f"\n{old}\n" in text
    path.write_text(text.replace(f"\n{old}\n", f"\n{new}\n"))


def test_a_certificate_made_again_is_the_one_that_convert_wrote(
    tiny_classifier: Classifier, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certificate = folder / "certificate.json"
    certificate.write_text("{}")
    assert main(["certify", str(folder), "--source", str(tiny_classifier.source), "--write", UNOPENED]) == 0
    shown = json.loads(capsys.readouterr().out.splitlines()[-1])
    written, original = (json.loads((place / certificate.name).read_text()) for place in (folder, tiny_classifier.folder))
    assert shown["scores"] == written["scores"]
    # the peak of memory is rounded, and may lie at a border
    assert {**written, "memory": None} == {**original, "memory": None}
    assert read_manifest(folder)["files"]["certificate"]["sha256"] == sha256(certificate)


def test_without_write_the_folder_stays_as_it_was(tiny_classifier: Classifier, folder: Path) -> None:
    (folder / "certificate.json").write_text("{}")
    assert main(["certify", str(folder), "--source", str(tiny_classifier.source), UNOPENED]) == 0
    assert (folder / "certificate.json").read_text() == "{}"


def test_an_edited_way_to_prepare_pictures_is_the_one_that_is_certified(
    tiny_classifier: Classifier, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(folder, 'resize = "stretch"', 'resize = "crop"\nresize_side = 9')
    edit(folder, 'filter = "bilinear"', 'filter = "bicubic"')
    edit(folder, 'channels = "rgb"', 'channels = "bgr"')
    prepared = []

    def prepare(path: Path, rule: dict[str, Any]) -> np.ndarray:
        prepared.append((rule["resize"], rule["resize_side"], rule["filter"], rule["channels"]))
        return read_input(path, rule)

    monkeypatch.setattr("carafe_tools.classifier_certificate.read_input", prepare)
    assert main(["certify", str(folder), "--source", str(tiny_classifier.source), UNOPENED]) == 0
    assert prepared == [("crop", 9, "bicubic", "bgr")] * len(pictures())


REFUSED = {
    "pixels of another type": (
        'pixels = "raw"',
        'pixels = "normalised"',
        "`pixels` `normalised` in `[image]`; `raw` was expected",
    ),
    "another layout": ('layout = "nhwc"', 'layout = "nchw"', "`layout` `nchw` in `[image]`; `nhwc` was expected"),
    "another width": ("width = 8", "width = 9", "`width` `9` in `[image]`; `8` was expected"),
    "another meaning of scores": (
        'scores = "quantised-probabilities"',
        'scores = "quantised-logits"',
        "`scores` `quantised-logits` in `[image]`; `quantised-probabilities` was expected",
    ),
    "an unknown filter": (
        'filter = "bilinear"',
        'filter = "box"',
        "`filter` `box` in `[image]`; `bilinear` or `bicubic` was expected",
    ),
    "a crop without its side": (
        'resize = "stretch"',
        'resize = "crop"',
        "`resize_side` `None` in `[image]`; 8 to 8192 was expected",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_image_table_that_does_not_fit_the_source_is_refused(
    case: str, tiny_classifier: Classifier, folder: Path, refused: Callable[..., str]
) -> None:
    old, new, sentence = REFUSED[case]
    edit(folder, old, new)
    assert refused("certify", folder, "--source", tiny_classifier.source) == f"`{folder / 'model.toml'}` has {sentence}"


def test_a_changed_weight_does_not_pass(tiny_classifier: Classifier, folder: Path, refused: Callable[..., str]) -> None:
    weights = np.fromfile(folder / "model.bin", np.float32)
    # the integers among them are tiny when read as f32, and stay
    weights[np.abs(weights) > 0.01] *= -1
    weights.tofile(folder / "model.bin")
    sentence = refused("certify", folder, "--source", tiny_classifier.source, "--write")
    assert sentence.startswith(f"`{folder}` does not compute what `{tiny_classifier.source}` does: `exact_against_faithful` has ")
    assert (folder / "certificate.json").read_bytes() == (tiny_classifier.folder / "certificate.json").read_bytes()


def test_a_source_that_the_classifier_was_not_made_from_is_refused(
    tiny_classifier: Classifier, refused: Callable[..., str], tmp_path: Path
) -> None:
    other = tmp_path / "other.tflite"
    other.write_bytes(tiny_classifier.source.read_bytes() + bytes(16))
    sentence = refused("certify", tiny_classifier.folder, "--source", other)
    made_from = f"`tiny.tflite`, which has {sha256(tiny_classifier.source)}"
    assert sentence.endswith(f"but `{tiny_classifier.folder}` was made from {made_from}")


def test_the_option_of_random_weights_is_refused(tiny_classifier: Classifier, refused: Callable[..., str]) -> None:
    sentence = refused("certify", tiny_classifier.folder, "--source", tiny_classifier.source, "--random-weights")
    assert sentence == "an image classifier takes no option `--random-weights`"


def test_an_unknown_task_is_refused(tiny_classifier: Classifier, folder: Path, refused: Callable[..., str]) -> None:
    edit(folder, 'task = "image-classification"', 'task = "speech"')
    sentence = refused("certify", folder, "--source", tiny_classifier.source)
    assert sentence == f"`{folder}` has task `speech`; `certify` proves `text-generation` and `image-classification`"
