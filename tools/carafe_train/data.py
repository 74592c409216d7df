"""The text to train on: books as token ids on disk, and which rows of them a step sees.

Goes in: a UTF-8 text (`.xz` is unpacked), its books separated by `<|endoftext|>`, and a tokenizer.
Comes out: a file of ids that is read as memory, made once for a text and tokenizer. The first
`focus` books are what the model is to write like; the last of them is held out: nothing is ever
trained on it. Typographic quotes and dashes become their ASCII signs first, because the bundled
model's tokenizer was trained on such a text.
"""

import hashlib
import json
import lzma
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from carafe_tools.errors import ConversionError, require
from carafe_tools.folder import atomic_file
from carafe_tools.progress import Progress
from carafe_tools.tokenizer_files import END_OF_TEXT, eos_token, load

ASCII = {
    "\u2018": "'",
    "\u2019": "'",
    "\u201c": '"',
    "\u201d": '"',
    "\u2010": "-",
    "\u2013": "-",
    "\u2014": "--",
    "\u2026": "...",
}
IDS = np.uint16


@dataclass(frozen=True)
class Books:
    """Token ids of all books in their order, each ended by end of text."""

    ids: np.ndarray  # u16, in a file
    ends: list[int]  # where each book ends, its end of text included
    # how many books at the beginning the model is to write like; the last of them is held out
    focus: int

    def check(self, row: int) -> None:
        """Refuse a text that is too short to train on rows of this length."""
        require(len(self.ends) >= self.focus, f"the text has {len(self.ends)} books; at least {self.focus} were expected")
        require(self.focus >= 2, f"{self.focus} books are to be written like; at least 2 are needed, as the last is held out")
        require(
            self._start > row, f"the books to write like have {self._start} tokens without the last; more than {row} are needed"
        )
        require(len(self.held_out) >= 2, "the book held out has less than two tokens")

    @property
    def _start(self) -> int:
        return self.ends[self.focus - 2]

    @property
    def held_out(self) -> np.ndarray:
        """The ids of the held-out book, without its end of text."""
        return np.asarray(self.ids[self._start : self.ends[self.focus - 1] - 1])

    def rows(self, seed: int, step: int, count: int, row: int, share: float) -> np.ndarray:
        """Return (count, row) ids for a step: with probability `share` a row is of the books to
        write like, else of the others.

        They depend on the arguments alone: who goes on from a checkpoint needs no more than the
        step's number.
        """
        generator = np.random.default_rng([seed, step])
        others = self.ends[self.focus - 1]
        is_focus = generator.random(count) < (share if len(self.ids) - others > row else 1)
        starts = np.where(
            is_focus,
            generator.integers(0, self._start - row + 1, count),
            generator.integers(others, max(others, len(self.ids) - row) + 1, count),
        )
        return np.stack([self.ids[start : start + row] for start in starts]).astype(np.int32)


def open_books(text: Path, tokenizer: Path, work: Path, focus: int) -> Books:
    """Return the books of a text, encoding it into the work folder unless that was done before."""
    ids, index = work / "tokens.bin", work / "tokens.json"
    source = {"text": _sha256(text), "tokenizer": _sha256(tokenizer)}
    known = json.loads(index.read_text(encoding="utf-8")) if index.is_file() else {}
    if known.get("source") != source:
        ends = _encode(text, tokenizer, ids)
        known = {"source": source, "ends": ends}
        with atomic_file(index) as building:
            building.write_text(json.dumps(known) + "\n", encoding="utf-8")
    return Books(np.memmap(ids, IDS, "r"), known["ends"], focus)


def plain(text: str) -> str:
    """Return a text with typographic quotes and dashes as ASCII."""
    return text.translate(str.maketrans(ASCII))


def _encode(text: Path, tokenizer: Path, out: Path) -> list[int]:
    books = plain(_read(text)).split(END_OF_TEXT)
    encoder = load(tokenizer)
    require(encoder.get_vocab_size() <= np.iinfo(IDS).max + 1, f"`{tokenizer}` has more tokens than two bytes can number")
    progress = Progress(len(books))
    ends: list[int] = []
    with atomic_file(out) as building, building.open("wb") as file:
        for number, book in enumerate(books, 1):
            progress.step(f"encoding book {number}")
            file.write(np.array([*encoder.encode(book).ids, eos_token(encoder)], IDS).tobytes())
            ends.append(file.tell() // IDS().itemsize)
    return ends


def _read(path: Path) -> str:
    opener = lzma.open if path.suffix == ".xz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            return file.read()
    except (UnicodeDecodeError, lzma.LZMAError) as error:
        raise ConversionError(f"failed to read `{path}` as a UTF-8 text: {error}") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
