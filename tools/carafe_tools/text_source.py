"""What a text model is converted from: an 8-bit GPT-2 .tflite, or a Hugging Face folder that is
made 8-bit here.

Goes in: the path, and for a .tflite its `tokenizer.json`. Comes out: a `TextSource`, the model in
its roles and its tokenizer, checked to belong together.
"""

from dataclasses import dataclass
from pathlib import Path

from carafe_tools.errors import require
from carafe_tools.gpt2 import Gpt2
from carafe_tools.huggingface import HuggingFaceFolder, is_huggingface
from carafe_tools.json_file import read_text
from carafe_tools.opening import Carafe, tokenizer_of
from carafe_tools.tokenizer import Tokenizer
from carafe_tools.tokenizer_files import TokenizerFile, open_tokenizer, with_end_of_text
from carafe_tools.weights import quantised

EVALUATED = 64  # tokens of each sequence that a Hugging Face model is certified on


@dataclass(frozen=True, eq=False)
class TextSource:
    """A text model's source."""

    path: Path
    model: Gpt2
    sequence: int  # tokens to evaluate at once, T; a .tflite can compute no other number
    tokenizer_file: TokenizerFile
    carafe: Carafe | None = None  # which cuts texts where the package `tokenizers` is missing

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer."""
        return tokenizer_of(self.tokenizer_file, self.carafe, self.path)


def read_text_source(path: Path, tokenizer_path: Path | None, carafe: Carafe | None = None) -> TextSource:
    """Return what a source and its tokenizer hold, refusing a pair that does not belong
    together.
    """
    if is_huggingface(path):
        folder = HuggingFaceFolder(path)
        model = quantised(folder, per_row=True)
        contents = folder.tokenizer() if tokenizer_path is None else read_text(tokenizer_path)
        sequence = min(EVALUATED, model.dimensions.positions)
    else:
        # what reads these files is installed only where they are converted
        from carafe_tools.gpt2_reader import find_gpt2
        from carafe_tools.tflite_file import read_tflite

        require(tokenizer_path is not None, "a text model needs the option `--tokenizer`")
        found = find_gpt2(read_tflite(path))
        model, sequence, contents = found.model, found.sequence, read_text(tokenizer_path)
    origin = tokenizer_path or path
    file = with_end_of_text(open_tokenizer(contents, f"`{origin}`"), origin)
    _check_vocabulary(file, origin, model, path)
    return TextSource(path, model, sequence, file, carafe)


def _check_vocabulary(file: TokenizerFile, tokenizer_path: Path, model: Gpt2, path: Path) -> None:
    tokens, rows = len(file.vocabulary), model.dimensions.vocabulary
    require(
        tokens == rows,
        f"`{tokenizer_path}` has {tokens} tokens but the token embedding of `{path}` has {rows} rows; they must be equal",
    )
    largest = max(file.vocabulary.values())
    require(largest < rows, f"`{tokenizer_path}` has a token with id {largest}; ids from 0 to {rows - 1} were expected")
