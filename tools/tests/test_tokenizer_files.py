"""Tokenizer files give the ids that GPT-2's own tokenizer gives."""

import json
from pathlib import Path

import pytest
from conftest import FIXTURES

from carafe_tools.__main__ import main
from carafe_tools.errors import ConversionError
from carafe_tools.tokenizer_files import eos_token, from_gpt2_files, load, train

GPT2 = FIXTURES / "gpt2-tokenizer"
VECTORS = json.loads((GPT2 / "vectors.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: repr(vector["text"]))
def test_gpt2_encodes_and_decodes_the_vector(vector: dict) -> None:
    tokenizer = load(GPT2 / "tokenizer.json")
    assert tokenizer.encode(vector["text"]).ids == vector["ids"]
    assert tokenizer.decode(vector["ids"]) == vector["text"]


def test_there_are_26_vectors() -> None:
    assert len(VECTORS) == 26


def test_gpt2_ends_a_text_with_its_last_token() -> None:
    tokenizer = load(GPT2 / "tokenizer.json")
    assert (eos_token(tokenizer), tokenizer.get_vocab_size()) == (50256, 50257)


def test_gpt2_s_two_files_are_joined_to_the_same_tokenizer(tmp_path: Path) -> None:
    """Take the bundled file apart into GPT-2's two and join them again."""
    model = json.loads((GPT2 / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    encoder, merges = tmp_path / "encoder.json", tmp_path / "vocab.bpe"
    encoder.write_text(json.dumps(model["vocab"]), encoding="utf-8")
    merges.write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in model["merges"]) + "\n", encoding="utf-8")
    assert from_gpt2_files(encoder, merges) == (GPT2 / "tokenizer.json").read_text(encoding="utf-8")


def test_a_merges_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    encoder, merges = tmp_path / "encoder.json", tmp_path / "vocab.bpe"
    encoder.write_text("{}")
    merges.write_text("t h\n")
    with pytest.raises(ConversionError, match="does not begin with `#version`"):
        from_gpt2_files(encoder, merges)


def test_training_the_same_text_gives_the_same_tokenizer() -> None:
    text = (FIXTURES / "texts/fables.txt").read_text(encoding="utf-8")
    assert train(text, 400) == train(text, 400)


def test_a_text_too_short_for_the_vocabulary_is_refused() -> None:
    with pytest.raises(ConversionError, match="400 were asked for, give a longer text"):
        train("a fox", 400)


def test_a_trained_tokenizer_returns_every_text_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(train((FIXTURES / "texts/fables.txt").read_text(encoding="utf-8"), 300), encoding="utf-8")
    tokenizer = load(path)
    for text in ("A Fox saw\n\tsome Grapes.", "naïve 👋 日本", ""):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_a_tokenizer_without_an_eos_token_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    text = train((FIXTURES / "texts/fables.txt").read_text(encoding="utf-8"), 300)
    path.write_text(text.replace("<|endoftext|>", "<|stop|>"), encoding="utf-8")
    with pytest.raises(ConversionError, match=r"has no token `<\|endoftext\|>`"):
        load(path)


def with_a_prefix_of_subwords() -> str:
    """Return a tokenizer whose merges the library cuts by the length of a prefix that their tokens
    do not have.
    """
    contents = json.loads((GPT2 / "tokenizer.json").read_text(encoding="utf-8"))
    contents["model"]["continuing_subword_prefix"] = "##"
    return json.dumps(contents)


@pytest.mark.parametrize(
    "contents",
    [with_a_prefix_of_subwords(), "[" * 100_000, '{"model":' * 100_000, "", "[]", "\ufeff{}"],
    ids=["panics", "deep list", "deep object", "empty", "list", "byte order mark"],
)
@pytest.mark.parametrize("options", [[], ["--unopened"]], ids=["probe", "convert"])
def test_a_tokenizer_that_the_library_cannot_read_is_refused_in_one_sentence(
    options: list[str], contents: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(contents, encoding="utf-8")
    words = ["convert", "--out", str(tmp_path / "out")] if options else ["probe"]
    assert main([*words, str(FIXTURES / "tiny.tflite"), "--tokenizer", str(path), *options]) == 1
    *progress, sentence = capfd.readouterr().err.splitlines()
    assert sentence.startswith(f"error: failed to read `{path}`")
    assert not [line for line in progress if "panicked" in line]


def test_a_tokenizer_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(ConversionError, match=r"failed to read .* can't decode"):
        load(path)


@pytest.mark.parametrize("lines", ["", "#version: 0.2\nt h e\n", "#version: 0.2\nt zz\n"])
def test_merges_that_are_none_are_refused(lines: str, tmp_path: Path) -> None:
    encoder, merges = tmp_path / "encoder.json", tmp_path / "vocab.bpe"
    encoder.write_text(json.dumps({"<|endoftext|>": 0, "t": 1}), encoding="utf-8")
    merges.write_text(lines, encoding="utf-8")
    with pytest.raises(ConversionError, match="`"):
        from_gpt2_files(encoder, merges)
