"""A Hugging Face folder becomes a certified model, and is compared with what others published of
the same weights.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import UNOPENED, Tiny, convert
from safetensors.numpy import load_file, save_file

from carafe_tools.__main__ import main
from carafe_tools.certificate import require_passed
from carafe_tools.errors import ConversionError
from carafe_tools.fixtures import TINY
from carafe_tools.huggingface import HuggingFaceFolder, source_sha256
from carafe_tools.huggingface_writer import write_huggingface
from carafe_tools.manifest import read_manifest
from carafe_tools.published import check_published
from carafe_tools.reference import reference_logits
from carafe_tools.text_source import read_text_source
from carafe_tools.weights import as_stored

pytestmark = pytest.mark.openvino


@pytest.fixture(scope="module")
def source(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of random weights with the tiny model's tokenizer."""
    folder = tmp_path_factory.mktemp("huggingface")
    write_huggingface(folder, TINY, seed=5, tokenizer=tiny.tokenizer)
    return folder


@pytest.fixture(scope="module")
def model(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `convert` makes of it."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    convert(source, folder)
    return folder


def test_a_folder_is_converted_with_the_error_of_rounding_reported(source: Path, model: Path) -> None:
    certificate = json.loads((model / "certificate.json").read_text())
    assert certificate["passed"] is True
    assert certificate["logits"]["exact_against_float64"]["max_error"] < 1e-5
    rounding = certificate["logits"]["exact_against_unrounded"]
    assert rounding["passed"] is None
    assert 1e-4 < rounding["max_error"] < 0.2
    assert certificate["sizes"]["source_bytes"] == (source / "model.safetensors").stat().st_size
    assert "published" not in certificate
    assert read_manifest(model)["provenance"]["source_sha256"] == source_sha256(source)


def test_a_folder_can_be_certified_again_but_not_by_other_weights(
    source: Path, model: Path, refused: Callable[..., str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["certify", str(model), "--source", str(source), UNOPENED]) == 0
    assert json.loads(capsys.readouterr().out)["passed"] is True
    for file in source.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    save_file({**weights, "ln_f.bias": weights["ln_f.bias"] + 1}, tmp_path / "model.safetensors")
    assert refused("certify", model, "--source", tmp_path).startswith(f"`{tmp_path}` has SHA-256 ")


def test_an_option_of_a_classifier_is_refused(source: Path, refused: Callable[..., str], tmp_path: Path) -> None:
    words = ("convert", source, "--out", tmp_path / "out", "--labels", source / "config.json")
    assert refused(*words) == "a text model takes no option `--labels`"


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path, tiny: Tiny, refused: Callable[..., str]) -> None:
    write_huggingface(tmp_path / "bare", TINY, seed=5, tokenizer=tiny.tokenizer)
    (tmp_path / "bare" / "tokenizer.json").unlink()
    sentence = refused("convert", tmp_path / "bare", "--out", tmp_path / "out")
    assert sentence == f"`{tmp_path / 'bare'}` has no `tokenizer.json`, nor `vocab.json` to make one of"


def test_the_tokenizer_may_come_in_its_two_older_files(tmp_path: Path, tiny: Tiny) -> None:
    folder = tmp_path / "older"
    write_huggingface(folder, TINY, seed=5, tokenizer=tiny.tokenizer)
    bpe = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(bpe["vocab"]))
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in bpe["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    text = "A fox saw a crow with a piece of cheese."
    expected = read_text_source(tiny.source, tiny.tokenizer).tokenizer.encode(text).ids
    assert read_text_source(folder, None).tokenizer.encode(text).ids == expected


def published_by(source: Path, path: Path, noise: float = 0.0) -> Path:
    """Write a reference file as data/gpt2-reference.json is one, of what the source's own f32
    weights say.
    """
    original, tokenizer = as_stored(HuggingFaceFolder(source)), read_text_source(source, None).tokenizer
    generator = np.random.default_rng(3)
    rows = []
    for prompt in ("The fox", "A crow sat", "The wolf and the lamb"):
        logits = reference_logits(original, np.array(tokenizer.encode(prompt).ids))[-1]
        logits += noise * generator.standard_normal(logits.shape)
        best = np.argsort(-logits)[:10].tolist()
        rows.append({"prompt": prompt, "top10": [{"id": place, "logit": float(logits[place])} for place in best]})
    greedy = [{"ids": [4, 5], "result": [4, 5, rows[0]["top10"][0]["id"]]}]
    reference = {"weights": [{"sha256": source_sha256(source)}], "last_position": rows, "argmax": [], "greedy": greedy}
    path.write_text(json.dumps(reference))
    return path


def checked(source: Path, model: Path, reference: Path) -> dict[str, Any] | None:
    return check_published(model, read_text_source(source, None), reference)


def test_published_outputs_of_the_same_weights_are_gated(source: Path, model: Path, tmp_path: Path) -> None:
    found = checked(source, model, published_by(source, tmp_path / "reference.json"))
    assert found is not None
    assert found["passed"] is True
    assert found["top5_overlap"] >= 0.8


def test_outputs_of_another_model_do_not_pass_the_gate(source: Path, model: Path, tmp_path: Path) -> None:
    found = checked(source, model, published_by(source, tmp_path / "reference.json", noise=9))
    assert found is not None
    assert found["passed"] is False
    with pytest.raises(ConversionError, match="`published` has argmax_equal"):
        require_passed({"passed": False, "logits": {}, "published": found, "determinism": {}}, "`model`")


def test_outputs_of_weights_that_are_not_these_say_nothing(source: Path, model: Path) -> None:
    assert check_published(model, read_text_source(source, None)) is None
