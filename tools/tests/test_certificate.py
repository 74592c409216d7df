"""The certificate says what it must, and does not pass when the graph computes something else."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import UNOPENED, Tiny

from carafe_tools.__main__ import main
from carafe_tools.certificate import load_graph, require_passed
from carafe_tools.errors import ConversionError
from carafe_tools.manifest import read_manifest, sha256
from carafe_tools.narrow import wide_tensors
from carafe_tools.text_run import GREEDY_TOKENS, PROMPTS, is_deterministic

pytestmark = [pytest.mark.openvino, pytest.mark.litert]


@pytest.fixture(scope="module")
def certificate(tiny: Tiny) -> dict[str, Any]:
    """The tiny model's certificate."""
    return json.loads((tiny.folder / "certificate.json").read_text())


def test_every_gate_of_the_stateful_graph_is_passed(certificate: dict[str, Any]) -> None:
    for name in ("exact_against_float64", "exact_against_faithful", "exact_step_by_step"):
        entry = certificate["logits"][name]
        assert entry["passed"] is True
        assert entry["max_error"] <= entry["limit"]
        assert entry["positions"] == 128
    assert certificate["passed"] is True


def test_agreement_with_litert_is_only_reported_for_random_weights(certificate: dict[str, Any]) -> None:
    entry = certificate["logits"]["exact_against_litert"]
    assert entry["passed"] is None
    assert 0 < entry["max_error"] < 1


def test_the_graph_is_listed_with_no_type_wider_than_32_bits(certificate: dict[str, Any], tiny: Tiny) -> None:
    assert certificate["graph"]["widest_bits"] == 32
    assert certificate["graph"]["types"] == ["boolean", "f32", "i32", "i8"]
    assert certificate["graph"]["operations"]["ScaledDotProductAttention"] == 2
    assert wide_tensors(load_graph(tiny.folder)) == []


def test_prompts_are_continued_by_the_same_number_of_tokens_each(certificate: dict[str, Any]) -> None:
    assert [entry["prompt"] for entry in certificate["greedy"]] == list(PROMPTS)
    assert {len(entry["tokens"]) for entry in certificate["greedy"]} == {GREEDY_TOKENS}
    assert {entry["profile"] for entry in certificate["greedy"]} == {"exact"}


def test_results_are_bit_identical_and_sizes_are_those_of_the_files(certificate: dict[str, Any], tiny: Tiny) -> None:
    assert certificate["determinism"]["bit_identical"] == {"exact": True, "fast": True, "latency": True}
    determinism = certificate["determinism"]
    assert determinism["largest_differences"]["exact"].keys() == {"cuts", "beside_others", "rejected_drafts", "token_by_token"}
    assert max(determinism["largest_differences"]["exact"].values()) < 1e-4
    assert certificate["sizes"]["source_bytes"] == tiny.source.stat().st_size
    assert certificate["sizes"]["weights_bytes"] == (tiny.folder / "model.bin").stat().st_size
    assert 0 < certificate["memory"]["peak_load_bytes"] <= certificate["memory"]["peak_run_bytes"]


def copied(tiny: Tiny, tmp_path: Path) -> Path:
    """Return a copy of the tiny model's folder that may be spoilt."""
    return Path(shutil.copytree(tiny.folder, tmp_path / "tiny"))


def test_a_folder_can_be_certified_again_and_its_certificate_replaced(tiny: Tiny, tmp_path: Path) -> None:
    folder = copied(tiny, tmp_path)
    (folder / "certificate.json").write_text("{}")
    assert main(["certify", str(folder), "--source", str(tiny.source), "--random-weights", "--write", UNOPENED]) == 0
    assert json.loads((folder / "certificate.json").read_text())["passed"] is True
    assert read_manifest(folder)["files"]["certificate"]["sha256"] == sha256(folder / "certificate.json")


def test_a_changed_weight_does_not_pass(tiny: Tiny, refused: Callable[..., str], tmp_path: Path) -> None:
    folder = copied(tiny, tmp_path)
    weights = np.fromfile(folder / "model.bin", np.int8)
    weights[10_000:12_000] //= 2
    weights.tofile(folder / "model.bin")
    sentence = refused("certify", folder, "--source", tiny.source, "--random-weights")
    assert sentence.startswith(f"`{folder}` does not compute what `{tiny.source}` does: `exact_against_float64` has max_error ")


def test_a_source_that_the_model_was_not_made_from_is_refused(tiny: Tiny, refused: Callable[..., str], tmp_path: Path) -> None:
    other = tmp_path / "other.tflite"
    other.write_bytes(tiny.source.read_bytes() + bytes(16))
    sentence = refused("certify", tiny.folder, "--source", other)
    assert sentence == (
        f"`{other}` has SHA-256 {sha256(other)}, but `{tiny.folder}` was made from `tiny.tflite`, which has {sha256(tiny.source)}"
    )


def test_a_folder_without_a_manifest_is_refused(tiny: Tiny, refused: Callable[..., str], tmp_path: Path) -> None:
    sentence = refused("certify", tmp_path, "--source", tiny.source)
    assert sentence == f"`{tmp_path}` is not a model folder: it holds no `model.toml`"


def test_how_far_other_cuts_of_a_prompt_are_off_is_reported_and_decides_nothing() -> None:
    determinism = {"bit_identical": {"exact": True}, "largest_differences": {"fast": {"cuts": 0.05}}}
    assert is_deterministic(determinism)


def test_results_that_differ_from_run_to_run_do_not_pass() -> None:
    failed = {"passed": False, "logits": {}, "determinism": {"bit_identical": {"exact": True, "fast": False}}}
    with pytest.raises(ConversionError, match="bit-identical results were expected"):
        require_passed(failed, "`model`")
