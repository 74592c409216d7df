"""Commands print data on stdout, the last line of which is JSON, and lock what they install."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import FIXTURES, ROOT, UNOPENED, Tiny

from carafe_tools.__main__ import main
from carafe_tools.tflite_file import read_tflite

PARTS = ("requirements-runtime.txt", "requirements-add.txt")
LOCKS = ("requirements.txt", *PARTS)


def last_line(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[list[str], dict]:
    """Run a command that must succeed; return the lines before the last, and the last one's
    JSON.
    """
    assert main([str(word) for word in words]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    return lines, json.loads(last)


@pytest.mark.litert
def test_probe_shows_tensors_quantisation_memory_and_text(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    lines, result = last_line(capsys, "probe", tiny.source, "--tokenizer", tiny.tokenizer, "--prompt", "A Fox")
    assert lines[0] == "input     INT32    [1, 32]                input_ids"
    assert lines[1] == "output    FLOAT32  [1, 32, 512]           logits"
    assert any(re.fullmatch(r"constant  INT8     \[512, 64\] +wte  scale 0\.00\d+  zero point 0", line) for line in lines)
    assert result["operations"]["FULLY_CONNECTED"] == 9
    assert result["constant_bytes"]["INT8"] == 512 * 64 + 64 * 64 + 2 * 12 * 64 * 64
    assert result["text"]
    assert result["litert_memory_bytes"] >= 0


@pytest.mark.litert
def test_probe_refuses_a_prompt_that_does_not_fit(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["probe", str(tiny.source), "--tokenizer", str(tiny.tokenizer), "--prompt", "far too long " * 20]
    assert main(words) == 1
    assert "tokens; 1 to 31 fit the file's 32" in capsys.readouterr().err


def test_a_random_file_has_the_sizes_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "random.tflite"
    sizes = ("--layers", 1, "--width", 16, "--heads", 2, "--vocabulary", 40, "--positions", 24)
    _, result = last_line(capsys, "write-tflite", "--random", *sizes, "--out", out)
    assert (result["layers"], result["vocabulary"]) == (1, 40)
    assert result["bytes"] == out.stat().st_size
    assert read_tflite(out).tensors[read_tflite(out).inputs[0]].shape == (1, 24)


def test_convert_tells_of_an_input_that_cannot_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "missing.json"
    out = tmp_path / "tokenizer.json"
    assert main(["tokenizer-json", "--encoder", str(missing), "--merges", str(missing), "--out", str(out)]) == 1
    assert capsys.readouterr().err == f"error: failed to use `{missing}`: No such file or directory\n"


def test_the_package_runs_as_a_command_and_progress_stays_off_stdout(tiny: Tiny, tmp_path: Path) -> None:
    words = ["convert", tiny.source, "--tokenizer", tiny.tokenizer, "--out", tmp_path / "tiny", "--random-weights", UNOPENED]
    command = [sys.executable, "-m", "carafe_tools", *map(str, words), "--licence-text", str(ROOT / "LICENSE")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(result.stdout)["passed"] is True
    assert (tmp_path / "tiny" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert result.stderr.startswith("[1/11] ")


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_versions_and_hashes_and_no_index(name: str) -> None:
    text = (ROOT / "tools" / name).read_text()
    assert "://" not in text
    assert "--index" not in text
    requirements = [block for block in re.split(r"\n(?=\S)", text) if not block.startswith("#")]
    assert all(re.match(r"[\w.-]+==\S+", block) and "--hash=sha256:" in block for block in requirements)


@pytest.mark.parametrize("name", PARTS)
def test_a_part_of_the_tools_is_locked_to_the_same_packages(name: str) -> None:
    def packages(lock: str) -> set[tuple[str, frozenset[str]]]:
        blocks = re.split(r"\n(?=\S)", (ROOT / "tools" / lock).read_text())
        return {(block.split()[0], frozenset(re.findall(r"sha256:\w+", block))) for block in blocks if not block.startswith("#")}

    assert packages(name)
    assert packages(name) <= packages("requirements.txt")


def test_fixtures_name_their_origin() -> None:
    listed = (FIXTURES / "README.md").read_text()
    for path in FIXTURES.iterdir():
        assert path.name == "README.md" or f"`{path.name}" in listed, path.name
