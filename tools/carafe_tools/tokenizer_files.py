"""Tokenizer files: byte-level BPE in Hugging Face's one-file form, `tokenizer.json`.

Two ways to one: `from_gpt2_files` joins GPT-2's own `encoder.json` and `vocab.bpe`, `train` makes a
small one from a text. `open_tokenizer` reads one back and drops what is for training only. The
guest reads the same file, and what it accepts is its own business: `opening` asks it. To read a
file back, the package `tokenizers` is not needed; where it is installed, it has a say.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carafe_tools.errors import ConversionError, require
from carafe_tools.json_file import parse_json_object, read_json_object, read_text
from carafe_tools.optional import require_optional
from carafe_tools.tokenizer import read_vocabulary, special_ids

if TYPE_CHECKING:
    from tokenizers import Tokenizer, models

END_OF_TEXT = "<|endoftext|>"
BATCHING = ("truncation", "padding")
STDERR = 2


def from_gpt2_files(encoder: Path, merges: Path) -> str:
    """Return the `tokenizer.json` of GPT-2's `encoder.json` (token to id) and `vocab.bpe` (a merge
    a line, best first).
    """
    vocabulary = read_json_object(encoder)
    lines = read_text(merges).splitlines()
    require(
        bool(lines) and lines[0].startswith("#version"),
        f"`{merges}` does not begin with `#version`, so it is not a `vocab.bpe`",
    )
    require(
        END_OF_TEXT in vocabulary,
        f"`{encoder}` has no token `{END_OF_TEXT}`",
    )
    from tokenizers import models

    pairs = [tuple(line.split(" ")) for line in lines[1:] if line]
    bpe = _open(lambda: models.BPE(vocab=vocabulary, merges=pairs), f"`{encoder}` and `{merges}`")
    return _text(_byte_level(bpe))


def train(text: str, vocabulary_size: int) -> str:
    """Return the `tokenizer.json` of a BPE trained on a text: end of text, the 256 bytes, then
    merges.
    """
    from tokenizers import models, pre_tokenizers, trainers

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


@dataclass(frozen=True, eq=False)
class TokenizerFile:
    """A `tokenizer.json`, opened once, without what is for training only."""

    contents: str
    vocabulary: dict[str, int]  # ids by the tokens' texts, added ones included
    special: frozenset[int]
    dropped: list[str]  # keys of `BATCHING` that the file had
    library: Tokenizer | None  # the tokenizer of the package `tokenizers`, where that is installed

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the package `tokenizers`."""
        if self.library is None:
            raise ModuleNotFoundError("No module named 'tokenizers'", name="tokenizers")
        return self.library


def load(path: Path) -> Tokenizer:
    """Return the tokenizer in a `tokenizer.json`, refusing one without an end-of-text token."""
    return with_end_of_text(open_tokenizer(read_text(path), f"`{path}`"), path).tokenizer


def with_end_of_text(file: TokenizerFile, path: Path) -> TokenizerFile:
    """Return a tokenizer that has an end-of-text token, or refuse it; it came from a path."""
    require(END_OF_TEXT in file.vocabulary, f"`{path}` has no token `{END_OF_TEXT}`")
    return file


def open_tokenizer(contents: str, origin: str) -> TokenizerFile:
    """Return the tokenizer, of whatever kind, that the contents of a `tokenizer.json` describe.

    `truncation` and `padding` say how trainers cut and fill their texts; newer transformers save
    them with the tokenizer. No text is cut or filled when a model is served, so the guest refuses a
    file that says it, and they are dropped here.
    """
    library = _library(contents, origin)
    file = parse_json_object(contents, f"{origin} as a `tokenizer.json`")
    dropped = [key for key in BATCHING if file.get(key) is not None]
    if dropped:
        contents = json.dumps(file | dict.fromkeys(dropped), ensure_ascii=False) + "\n"
    return TokenizerFile(contents, read_vocabulary(file, origin), special_ids(file, origin), dropped, library)


def _library(contents: str, origin: str) -> Tokenizer | None:
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError as error:
        require_optional(error)
        return None
    tokenizer = _open(lambda: Tokenizer.from_str(contents), f"{origin} as a `tokenizer.json`")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def eos_token(tokenizer: Tokenizer) -> int:
    """Return the id of the end-of-text token."""
    return tokenizer.token_to_id(END_OF_TEXT)


def _open(read: Callable[[], Any], origin: str) -> Any:
    """Return what the library reads, refusing what it cannot read in one sentence."""
    try:
        with _silent_panics():
            return read()
    except Exception as error:  # the library raises bare `Exception`
        raise ConversionError(f"failed to read {origin}: {error}") from error


@contextmanager
def _silent_panics() -> Iterator[None]:
    """Raise an `Exception` for a panic of the library, which raises a `BaseException`, and drop
    what it writes to stderr.
    """
    stderr = os.dup(STDERR)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), STDERR)
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError(f"the library panics: {error}") from error
    finally:
        os.dup2(stderr, STDERR)
        os.close(stderr)


def _byte_level(model: models.BPE) -> Tokenizer:
    from tokenizers import Tokenizer, decoders, pre_tokenizers

    tokenizer: Any = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([END_OF_TEXT])
    return tokenizer


def _text(tokenizer: Tokenizer) -> str:
    return tokenizer.to_str(pretty=False) + "\n"
