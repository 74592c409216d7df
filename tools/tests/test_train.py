"""Training lowers the loss, goes on where it was stopped as if it never had been, and writes what
the other tools read.
"""

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES

from carafe_tools.fixtures import TEXT
from carafe_tools.huggingface import HuggingFaceFolder
from carafe_tools.reference import reference_logits
from carafe_tools.tokenizer_files import END_OF_TEXT, load
from carafe_tools.tokenizer_files import train as train_tokenizer
from carafe_tools.weights import as_stored
from carafe_train.__main__ import main
from carafe_train.checkpoint import Training
from carafe_train.data import open_books, plain
from carafe_train.loop import Report

VOCABULARY = 300
SIZES = ("--layers", "1", "--width", "16", "--heads", "2", "--positions", "16")
PLAN = ("--rows", "4", "--warmup", "2", "--report", "5", "--validate", "5", "--cooldown", "10")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Three books: two to write like, of which the second is held out, and another."""
    lines = (FIXTURES / TEXT).read_text(encoding="utf-8").splitlines(keepends=True)
    third = len(lines) // 3
    books = ["".join(lines[start : start + third]) for start in (0, third, 2 * third)]
    (tmp_path / "text.txt").write_text(END_OF_TEXT.join(books), encoding="utf-8")
    tokenizer = train_tokenizer((FIXTURES / TEXT).read_text(encoding="utf-8"), VOCABULARY)
    (tmp_path / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
    return tmp_path / "text.txt"


def words(text: Path, name: str, *more: str) -> list[str]:
    """Return the words of a command that trains on a text; work and model are called by a name."""
    here = text.parent
    return [str(text), "--work", str(here / f"{name}.work"), "--out", str(here / name), *PLAN, *more]


def fresh(text: Path, name: str, *more: str) -> list[str]:
    """Return the words of a command that trains a new model."""
    return words(text, name, "--tokenizer", str(text.parent / "tokenizer.json"), *SIZES, *more)


def weights(folder: Path) -> bytes:
    """Return the bytes of a model's weights."""
    return (folder / "model.safetensors").read_bytes()


@pytest.fixture
def trained(capsys: pytest.CaptureFixture[str]) -> Callable[[list[str]], dict]:
    """A function that trains and returns what the last line of stdout says."""

    def run(command: list[str]) -> dict:
        assert main(command) == 0
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    return run


@pytest.fixture
def refused_training(capsys: pytest.CaptureFixture[str]) -> Callable[[list[str]], str]:
    """A function that runs a command, expects it to be refused, and returns the sentence."""

    def run(command: list[str]) -> str:
        assert main(command) == 1
        return capsys.readouterr().err.splitlines()[-1].removeprefix("error: ")

    return run


def test_training_lowers_the_loss_of_a_book_that_it_never_saw(text: Path, trained: Callable[[list[str]], dict]) -> None:
    start, end = trained(fresh(text, "start", "--steps", "1")), trained(fresh(text, "end", "--steps", "40"))
    assert start["validation_loss"] == pytest.approx(np.log(VOCABULARY), abs=0.1)
    assert end["validation_loss"] < start["validation_loss"] - 0.5
    assert (end["steps"], end["tokens"], end["is_finished"]) == (40, 40 * 4 * 16, True)


def interrupt_after_7(_: Report, training: Training, loss: float) -> None:
    """Press Ctrl-C where the seventh step's loss would be reported."""
    if training.step == 7:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("precision", [(), ("--bfloat16",)])
def test_interrupted_and_continued_training_ends_with_the_same_bytes(
    precision: tuple[str, ...], text: Path, trained: Callable[[list[str]], dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(fresh(text, "whole", "--steps", "12", *precision))
    with monkeypatch.context() as patch:
        patch.setattr(
            Report, "step", lambda _, training, loss: signal.raise_signal(signal.SIGINT) if training.step == 7 else None
        )
        interrupted = trained(fresh(text, "parts", "--steps", "12", *precision))
    assert (interrupted["steps"], interrupted["is_finished"]) == (7, False)
    assert weights(text.parent / "whole") != weights(text.parent / "parts")
    assert trained(fresh(text, "parts", "--steps", "12", *precision))["is_finished"]
    assert weights(text.parent / "whole") == weights(text.parent / "parts")


def test_what_is_written_is_what_the_other_tools_read(text: Path, trained: Callable[[list[str]], dict]) -> None:
    held_out = text.parent / "held-out.txt"
    loss = trained(fresh(text, "model", "--steps", "10", "--held-out", str(held_out)))["validation_loss"]
    ids = np.array(load(text.parent / "tokenizer.json").encode(held_out.read_text(encoding="utf-8")).ids)
    total, scored = 0.0, 0
    model = as_stored(HuggingFaceFolder(text.parent / "model"))
    for start in range(0, len(ids) - 1, 16):
        window = ids[start : start + 16]
        logits = reference_logits(model, window[:-1])
        total += sum(np.log(np.exp(row).sum()) - row[token] for row, token in zip(logits, window[1:], strict=True))
        scored += len(window) - 1
    assert loss == pytest.approx(total / scored, abs=2e-4)


def test_training_goes_on_from_a_model(text: Path, trained: Callable[[list[str]], dict]) -> None:
    first = trained(fresh(text, "first", "--steps", "30"))
    second = words(text, "second", "--from", str(text.parent / "first"))
    assert trained([*second, "--validate-only"])["validation_loss"] == first["validation_loss"]
    assert trained([*second, "--steps", "30"])["validation_loss"] < first["validation_loss"]


def test_the_held_out_book_is_never_trained_on(text: Path, tmp_path: Path) -> None:
    tmp_path.joinpath("work").mkdir()
    books = open_books(text, tmp_path / "tokenizer.json", tmp_path / "work", 2)
    held_out = {tuple(books.held_out[start : start + 17]) for start in range(len(books.held_out) - 16)}
    for step in range(20):
        for row in books.rows(1, step, 64, 17, 0.5):
            assert tuple(row) not in held_out


def test_typographic_signs_become_ascii() -> None:
    assert plain("\u201cIt\u2019s a caf\u00e9\u2014here\u2026\u201d") == '"It\'s a caf\u00e9--here..."'


def test_a_text_that_is_too_short_is_refused(text: Path, refused_training: Callable[[list[str]], str]) -> None:
    text.write_text(f"Once.{END_OF_TEXT}Twice upon a time.", encoding="utf-8")
    sentence = refused_training(fresh(text, "model"))
    assert re.fullmatch(r"the books to write like have \d tokens without the last; more than 17 are needed", sentence)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--focus", "4"), "the text has 3 books; at least 4 were expected"),
        (("--focus", "1"), "1 books are to be written like; at least 2 are needed, as the last is held out"),
        (("--rows", "0"), "`--rows` is 0; at least 1 is needed"),
        (("--share", "1.5"), "`--share` is 1.5; 0 to 1 are possible"),
        (("--heads", "3"), "the model to train has width `16`, which its 3 heads do not divide"),
    ],
)
def test_options_that_cannot_be_followed_are_refused(
    more: tuple[str, ...], sentence: str, text: Path, refused_training: Callable[[list[str]], str]
) -> None:
    assert refused_training(fresh(text, "model", *more)) == sentence


def test_a_checkpoint_of_another_shape_is_refused(
    text: Path, trained: Callable[[list[str]], dict], refused_training: Callable[[list[str]], str]
) -> None:
    trained(fresh(text, "model", "--layers", "2", "--steps", "1"))
    wider = refused_training(fresh(text, "model", "--layers", "2", "--width", "32"))
    assert wider.endswith(f"has `wte.weight` of shape [{VOCABULARY}, 16]; the model to train has [{VOCABULARY}, 32]")
    assert refused_training(fresh(text, "model", "--layers", "1")).endswith(
        "is of a model with more layers than the one to train"
    )
