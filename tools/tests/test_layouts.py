"""Each layout of .tflite that `convert` takes becomes a model that computes what LiteRT and
OpenVINO compute of the file.
"""

import json
from pathlib import Path

import pytest
from conftest import Tiny, convert

from carafe_tools.layouts import CASES

pytestmark = [pytest.mark.openvino, pytest.mark.litert]


@pytest.mark.parametrize("name", CASES)
def test_a_layout_is_converted_and_certified(name: str, tiny: Tiny, tmp_path: Path) -> None:
    source = CASES[name].write(tmp_path / "layout.tflite")
    convert(source, tmp_path / "model", "--tokenizer", tiny.tokenizer, "--random-weights")
    certificate = json.loads((tmp_path / "model" / "certificate.json").read_text())
    assert certificate["passed"] is True
    for reference in ("float64", "faithful"):
        assert certificate["logits"][f"exact_against_{reference}"]["max_error"] < 1e-5
    assert certificate["logits"]["exact_against_litert"]["max_error"] < 0.1
