"""Tokenizer files give the ids that GPT-2's own tokenizer gives."""

import json
from pathlib import Path

import pytest
from conftest import FIXTURES

from carafe_tools.errors import ConversionError
from carafe_tools.tokenizer_files import end_of_text, from_gpt2_files, load, train

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
    assert (end_of_text(tokenizer), tokenizer.get_vocab_size()) == (50256, 50257)


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


def test_a_tokenizer_without_an_end_of_text_token_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    text = train((FIXTURES / "texts/fables.txt").read_text(encoding="utf-8"), 300)
    path.write_text(text.replace("<|endoftext|>", "<|stop|>"), encoding="utf-8")
    with pytest.raises(ConversionError, match=r"has no token `<\|endoftext\|>`"):
        load(path)
