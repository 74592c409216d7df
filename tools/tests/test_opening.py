"""Which program opens a finished model, what it is asked, and that its refusal is the
conversion's.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Tiny

from carafe_tools.__main__ import main
from carafe_tools.errors import ConversionError
from carafe_tools.opening import find_carafe
from carafe_tools.tokenizer_files import open_tokenizer


def program(path: Path, body: str) -> Path:
    """Write a program in Python that stands in for `carafe`, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\nimport json, sys\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without `carafe`."""
    monkeypatch.setattr("carafe_tools.opening._own_places", lambda: [tmp_path / "carafe"])
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


@pytest.mark.usefixtures("nowhere")
def test_without_the_program_nothing_is_converted_unless_that_is_asked_for(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["convert", str(tiny.source), "--tokenizer", str(tiny.tokenizer), "--out", str(tmp_path / "tiny"), "--random-weights"]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert f"no `carafe` was found to open the finished model with; tried `{tmp_path / 'carafe'}` and the search path" in said
    assert "pass `--unopened`" in said
    assert not (tmp_path / "tiny").exists()


def test_a_certificate_says_that_nothing_opened_the_model(tiny: Tiny) -> None:
    assert json.loads((tiny.folder / "certificate.json").read_text())["opened"] is None


def test_the_program_is_looked_for_beside_the_tools_and_then_on_the_search_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "lib/carafe/tools"))
    monkeypatch.setattr("carafe_tools.opening.__file__", str(tmp_path / "tree/tools/carafe_tools/opening.py"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    for place in ("path/carafe", "tree/target/release/carafe", "bin/carafe"):
        expected = program(tmp_path / place, "")
        assert find_carafe(None).path == expected
    assert find_carafe(tmp_path / "path/carafe").path == tmp_path / "path/carafe"


def test_what_is_named_and_is_no_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    for name in ("text", "missing"):
        with pytest.raises(ConversionError, match=rf"`.*{name}` is no program"):
            find_carafe(tmp_path / name)


def test_what_the_program_refuses_is_not_written(tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = "sys.exit('carafe: ' + sys.argv[3] + ' is not to my taste') if sys.argv[1] == 'models' else exec(TOKENIZE)"
    tokenize = (
        "from tokenizers import Tokenizer\n"
        "ids = Tokenizer.from_file(sys.argv[4]).encode(sys.argv[2]).ids\n"
        "print(json.dumps({'tokens': [{'id': id} for id in ids]}))"
    )
    carafe = program(tmp_path / "carafe", f"TOKENIZE = {tokenize!r}\n{body}")
    out = tmp_path / "models" / "tiny"
    words = ("convert", tiny.source, "--tokenizer", tiny.tokenizer, "--out", out, "--random-weights", "--carafe", carafe)
    assert main([str(word) for word in words]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    expected = f"`{carafe}`, which is to serve it, refuses the model folder `{out}`: {out} is not to my taste"
    assert said == f"error: {expected}"
    assert list(out.parent.iterdir()) == []


def test_a_folder_must_be_called_as_its_model(tiny: Tiny, tmp_path: Path, refused: Callable[..., str]) -> None:
    words = ("--tokenizer", tiny.tokenizer, "--out", tmp_path / "one", "--name", "two")
    expected = f"the model is to be called `two` but its folder `{tmp_path / 'one'}`; the two names must be equal"
    assert refused("convert", tiny.source, *words) == expected


TRUNCATION = {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}
PADDING = {
    "strategy": {"Fixed": 16},
    "direction": "Left",
    "pad_to_multiple_of": None,
    "pad_id": 0,
    "pad_type_id": 0,
    "pad_token": "a",
}


def test_truncation_and_padding_are_dropped_and_that_is_said(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer, out = tmp_path / "tokenizer.json", tmp_path / "tiny"
    contents = json.loads(tiny.tokenizer.read_text())
    tokenizer.write_text(json.dumps(contents | {"truncation": TRUNCATION, "padding": PADDING}))
    words = ("convert", tiny.source, "--tokenizer", tokenizer, "--out", out, "--random-weights", "--unopened")
    assert main([str(word) for word in words]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["dropped"] == ["truncation", "padding"]
    assert "`truncation` of the `tokenizer.json` is dropped" in captured.err
    assert json.loads((out / "tokenizer.json").read_text()) == contents
    greedy, expected = (json.loads((folder / "certificate.json").read_text())["greedy"] for folder in (out, tiny.folder))
    assert greedy == expected


def test_a_tokenizer_that_sets_neither_stays_as_it_is(tiny: Tiny) -> None:
    contents = tiny.tokenizer.read_text()
    file = open_tokenizer(contents, "`tokenizer.json`")
    assert (file.contents, file.dropped) == (contents, [])
