"""The odd images and golden results: they can be made, they are odd in the way they say, and they
are still the same.
"""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES, ROOT
from PIL import Image, ImageFile

from carafe_tools.images import make, probabilities
from carafe_tools.images_odd import HEIGHT, WIDTH, refused_images, whole_images

GOLDEN = json.loads((FIXTURES / "images/golden.json").read_text(encoding="utf-8"))


@pytest.mark.openvino
def test_the_fixtures_made_again_are_the_same(tmp_path: Path) -> None:
    make(tmp_path, ROOT / "models/mobilenet-v2")
    made, kept = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in (tmp_path, FIXTURES / "images"))
    assert made.keys() == kept.keys()
    different = [name for name in made if made[name] != kept[name] and name != "golden.json"]
    assert different == []
    again = json.loads(made["golden.json"])
    assert (again["images"], again["resized"]) == (GOLDEN["images"], GOLDEN["resized"])
    best = {name: picture["top"][0]["index"] for name, picture in GOLDEN["pictures"].items()}
    assert {name: picture["top"][0]["index"] for name, picture in again["pictures"].items()} == best


def test_whole_images_are_as_large_as_the_scene_and_small_in_bytes() -> None:
    for name, contents in whole_images():
        with Image.open(io.BytesIO(contents)) as image:
            assert sorted(image.size) == sorted((WIDTH, HEIGHT)), name
        assert len(contents) < 10_000, name


def test_broken_images_are_small_and_pillow_refuses_those_that_are_damaged() -> None:
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    for name, refusal, contents in refused_images():
        assert len(contents) < 10_000, name
        # Pillow adds the end itself
        if refusal == "invalid-image" and name != "truncated-before-the-end.jpg":
            with pytest.raises((OSError, SyntaxError, ValueError)):
                Image.open(io.BytesIO(contents)).load()


def test_the_golden_labels_are_what_the_pictures_show() -> None:
    labels = {name: picture["top"][0]["label"] for name, picture in GOLDEN["pictures"].items()}
    assert labels == {
        "cat_720p.jpg": "Egyptian cat",
        "grace_hopper.bmp": "military uniform",
        "hot_dog.jpg": "hotdog, hot dog, red hot",
        "parrot.jpg": "macaw",
    }


def test_quantised_logits_become_probabilities() -> None:
    rule = {"scores": "quantised-logits", "score_scale": 0.5, "score_zero_point": 10}
    found = probabilities(np.array([10, 14, 12], np.uint8), rule)
    assert found == pytest.approx([0.090031, 0.665241, 0.244728], abs=1e-6)
