"""Perplexity follows its protocol: windows side by side, each scored from its second token on."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES, Tiny

from carafe_tools.__main__ import main
from carafe_tools.fixtures import TEXT
from carafe_tools.reference import reference_logits
from carafe_tools.text_source import read_text_source

pytestmark = pytest.mark.openvino
WINDOW, LIMIT = 48, 100


def test_the_figure_is_that_of_the_float64_reference(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["perplexity", tiny.folder, FIXTURES / TEXT, "--window", WINDOW, "--limit", LIMIT]
    assert main([str(word) for word in words]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    source = read_text_source(tiny.source, tiny.tokenizer)
    tokens = np.array(source.tokenizer.encode((FIXTURES / TEXT).read_text()).ids)[:LIMIT]
    total = 0.0
    for start in range(0, LIMIT, WINDOW):
        window = tokens[start : start + WINDOW]
        logits = reference_logits(source.model, window[:-1])
        total += sum(np.log(np.exp(row).sum()) - row[token] for row, token in zip(logits, window[1:], strict=True))
    assert found["scored"] == LIMIT - 3
    assert found["loss"] == pytest.approx(total / (LIMIT - 3), abs=2e-4)
    assert found["perplexity"] == pytest.approx(math.exp(total / (LIMIT - 3)), rel=1e-3)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--window", "65"), "a window of 65 tokens was asked for; 2 to 64, the model's context, are possible"),
        (("--limit", "1"), "has 1 tokens; at least 2 are needed"),
    ],
)
def test_what_cannot_be_scored_is_refused(words: tuple[str, ...], sentence: str, tiny: Tiny, refused: Callable[..., str]) -> None:
    assert refused("perplexity", tiny.folder, FIXTURES / TEXT, *words).endswith(sentence)


def test_a_text_that_is_not_utf8_is_refused(tiny: Tiny, refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9 au lait")
    assert refused("perplexity", tiny.folder, tmp_path / "latin.txt").startswith(f"`{tmp_path / 'latin.txt'}` is not UTF-8: ")
