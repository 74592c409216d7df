"""What the tools use of a tokenizer, and the way that the program itself gives it.

Where the Python package `tokenizers` is installed, it cuts the samples of a certificate, and the
program that serves the model is compared with it (`opening`). It is not needed: where it is
missing, that program cuts them, and nothing is compared. A vocabulary is read from the file itself
either way.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from carafe_tools.errors import require


class Encoding(Protocol):
    """The tokens of a text."""

    @property
    def ids(self) -> list[int]:
        """Their ids."""


class Tokenizer(Protocol):
    """The part of the interface of `tokenizers.Tokenizer` that certificates need."""

    def encode(self, sequence: str, /) -> Encoding:
        """Return a text's tokens, with those that the tokenizer puts around a text."""

    def decode(self, ids: list[int], /) -> str:
        """Return the text of tokens, without the special ones."""


@dataclass(frozen=True)
class Ids:
    """The tokens of a text, which the program has cut."""

    ids: list[int]


@dataclass(frozen=True)
class ProgramTokenizer:
    """A tokenizer of the program that is to serve the model."""

    cut: Callable[[str], list[int]]
    join: Callable[[list[int]], str]
    special: frozenset[int]

    def encode(self, sequence: str, /) -> Ids:
        """Return a text's tokens, with those that the tokenizer puts around a text."""
        return Ids(self.cut(sequence))

    def decode(self, ids: list[int], /) -> str:
        """Return the text of tokens, without the special ones."""
        return self.join([token for token in ids if token not in self.special])


def read_vocabulary(file: dict[str, Any], origin: str) -> dict[str, int]:
    """Return the tokens of a `tokenizer.json` of any kind, added ones included, with their ids."""
    model = file.get("model")
    require(isinstance(model, dict), f"{origin} has no `model`")
    entries = model.get("vocab")
    # Unigram has a list of tokens with their scores, the other kinds an object of ids
    if isinstance(entries, list):
        require(all(isinstance(entry, list) and entry for entry in entries), f"{origin} has a `vocab` that is no list of pairs")
        own = {entry[0]: token for token, entry in enumerate(entries)}
    else:
        require(isinstance(entries, dict), f"{origin} has no `vocab` in its `model`")
        own = dict(entries)
    vocabulary = own | {entry["content"]: entry["id"] for entry in _added(file, origin)}
    are_ids = all(isinstance(token, int) and token >= 0 for token in vocabulary.values())
    require(are_ids, f"{origin} has tokens whose ids are not whole numbers from 0")
    return vocabulary


def special_ids(file: dict[str, Any], origin: str) -> frozenset[int]:
    """Return the ids of the special tokens of a `tokenizer.json`."""
    return frozenset(entry["id"] for entry in _added(file, origin) if entry.get("special"))


def _added(file: dict[str, Any], origin: str) -> Iterable[dict[str, Any]]:
    added = file.get("added_tokens") or []
    is_list = isinstance(added, list) and all(isinstance(entry, dict) and {"id", "content"} <= entry.keys() for entry in added)
    require(is_list, f"{origin} has `added_tokens` that are no list of tokens with `id` and `content`")
    return added
