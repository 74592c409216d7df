"""Models are added with numpy and OpenVINO alone; what needs more says what it needs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import FIXTURES, UNOPENED, Tiny

from carafe_tools.errors import ConversionError
from carafe_tools.opening import tokenizer_of
from carafe_tools.optional import OPTIONAL, lacks
from carafe_tools.tokenizer import ProgramTokenizer, read_vocabulary, special_ids
from carafe_tools.tokenizer_files import load, open_tokenizer

GPT2 = FIXTURES / "gpt2-tokenizer/tokenizer.json"
# for a Python of its own, in which no such package is installed
WITHOUT = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {sorted(OPTIONAL)}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""


def without_packages(*words: object) -> subprocess.CompletedProcess[str]:
    """Run the tools where the optional packages are missing."""
    script = WITHOUT + "from carafe_tools.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", script, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_commands_for_models_are_there_without_them_and_the_others_are_not() -> None:
    told = without_packages("--help")
    assert told.returncode == 0, told.stderr
    commands = {line.split()[0] for line in told.stdout.splitlines() if line.startswith("    ") and line[4] != " "}
    assert {"add", "convert", "certify", "perplexity"} <= commands
    assert not commands & {"probe", "images", "zoo"}


def test_a_tflite_names_the_package_that_it_needs(tiny: Tiny, tmp_path: Path) -> None:
    told = without_packages("add", tiny.source, "--tokenizer", tiny.tokenizer, "--out", tmp_path / "tiny", UNOPENED)
    assert told.returncode == 1
    assert told.stderr.splitlines()[-1].startswith("error: this needs the Python package `ai_edge_litert`, which is missing; ")


def test_what_is_missing_is_named_by_its_package() -> None:
    assert lacks(ModuleNotFoundError("", name="PIL.Image")).startswith("this needs the Python package `PIL`")


def test_a_vocabulary_and_its_special_tokens_are_those_of_the_library() -> None:
    for path in (GPT2, FIXTURES / "models/tiny/tokenizer.json"):
        file, tokenizer = json.loads(path.read_text(encoding="utf-8")), load(path)
        assert read_vocabulary(file, "it") == tokenizer.get_vocab()
        added = tokenizer.get_added_tokens_decoder()
        assert special_ids(file, "it") == {token for token, entry in added.items() if entry.special}


def test_a_list_of_tokens_with_scores_is_a_vocabulary() -> None:
    file = {"model": {"vocab": [["<unk>", 0.0], ["a", -1.5]]}, "added_tokens": [{"id": 2, "content": "<s>", "special": True}]}
    assert read_vocabulary(file, "it") == {"<unk>": 0, "a": 1, "<s>": 2}
    assert special_ids(file, "it") == {2}


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ({}, "it has no `model`"),
        ({"model": {}}, "it has no `vocab`"),
        ({"model": {"vocab": [1]}}, "no list of pairs"),
        ({"model": {"vocab": {"a": "0"}}}, "not whole numbers"),
        ({"model": {"vocab": {"a": 0}}, "added_tokens": [{"id": 1}]}, "`added_tokens`"),
    ],
)
def test_a_broken_file_is_refused_in_one_sentence(file: dict, sentence: str) -> None:
    with pytest.raises(ConversionError, match=sentence):
        read_vocabulary(file, "it")


def test_the_program_cuts_texts_where_the_library_is_missing() -> None:
    tokenizer = ProgramTokenizer(cut=lambda text: [len(text), 9], join=str, special=frozenset({9}))
    assert tokenizer.encode("abc").ids == [3, 9]
    assert tokenizer.decode([3, 9]) == "[3]"


def test_without_either_nothing_cuts_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carafe_tools.tokenizer_files._library", lambda contents, origin: None)
    file = open_tokenizer(GPT2.read_text(encoding="utf-8"), "it")
    with pytest.raises(ConversionError, match="leave `--unopened` out"):
        tokenizer_of(file, None, GPT2)
