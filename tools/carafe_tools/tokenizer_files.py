"""Tokenizer files: byte-level BPE in Hugging Face's one-file form, `tokenizer.json`.

Two ways to one: `from_gpt2_files` joins GPT-2's own `encoder.json` and `vocab.bpe`, `train` makes a small one from a
text. `load` and `parse` read one back, `without_batching` drops what is for training only. The guest reads the same file
with the same library, and what it accepts is its own business: `opening` asks it.
"""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from carafe_tools.errors import ConversionError, require

END_OF_TEXT = "<|endoftext|>"
BATCHING = ("truncation", "padding")


def from_gpt2_files(encoder: Path, merges: Path) -> str:
    """Return the `tokenizer.json` of GPT-2's `encoder.json` (token to id) and `vocab.bpe` (a merge a line, best first)."""
    vocabulary = json.loads(encoder.read_text(encoding="utf-8"))
    lines = merges.read_text(encoding="utf-8").splitlines()
    require(
        lines[0].startswith("#version"),
        f"`{merges}` does not begin with `#version`, so it is not a `vocab.bpe`",
    )
    require(
        END_OF_TEXT in vocabulary,
        f"`{encoder}` has no token `{END_OF_TEXT}`",
    )
    pairs = [tuple(line.split(" ")) for line in lines[1:] if line]
    return _text(_byte_level(models.BPE(vocab=vocabulary, merges=pairs)))


def train(text: str, vocabulary_size: int) -> str:
    """Return the `tokenizer.json` of a BPE trained on a text: end of text, the 256 bytes, then merges."""
    tokenizer = _byte_level(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(text.splitlines(keepends=True), trainer)
    size = tokenizer.get_vocab_size()
    require(size == vocabulary_size, f"the text yields {size} tokens; {vocabulary_size} were asked for, give a longer text")
    return _text(tokenizer)


def load(path: Path) -> Tokenizer:
    """Return the tokenizer in a `tokenizer.json`, refusing one without an end-of-text token."""
    return parse(path.read_text(encoding="utf-8"), path)


def parse(contents: str, path: Path) -> Tokenizer:
    """Return the tokenizer that the contents of a `tokenizer.json` describe, which came from a path."""
    try:
        tokenizer = Tokenizer.from_str(contents)
    except Exception as error:  # the library raises bare `Exception`
        raise ConversionError(f"failed to read `{path}` as a `tokenizer.json`: {error}") from error
    require(
        tokenizer.token_to_id(END_OF_TEXT) is not None,
        f"`{path}` has no token `{END_OF_TEXT}`",
    )
    return tokenizer


def without_batching(contents: str, path: Path) -> tuple[str, list[str]]:
    """Return the contents of a `tokenizer.json` without what prepares batches for training, and the keys that were dropped.

    `truncation` and `padding` say how trainers cut and fill their texts; newer transformers save them with the tokenizer. No text
    is cut or filled when a model is served, so the guest refuses a file that says it.
    """
    try:
        file = json.loads(contents)
    except ValueError as error:
        raise ConversionError(f"failed to read `{path}` as a `tokenizer.json`: {error}") from error
    require(isinstance(file, dict), f"`{path}` is no `tokenizer.json`: it does not hold an object")
    dropped = [key for key in BATCHING if file.get(key) is not None]
    if not dropped:
        return contents, []
    return json.dumps(file | dict.fromkeys(dropped), ensure_ascii=False) + "\n", dropped


def end_of_text(tokenizer: Tokenizer) -> int:
    """Return the id of the end-of-text token."""
    return tokenizer.token_to_id(END_OF_TEXT)


def _byte_level(model: models.BPE) -> Tokenizer:
    tokenizer: Any = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([END_OF_TEXT])
    return tokenizer


def _text(tokenizer: Tokenizer) -> str:
    return tokenizer.to_str(pretty=False) + "\n"
