"""Writes the fixtures that tests in every language use: a tiny text model, and the .tflite that it
comes from.

Goes in: the folder `fixtures`, for the text that the tokenizer is trained on. Comes out: in it,
`tiny.tflite` and `models/tiny`, the same bytes each time, but for `certificate.json` (and its line
in `model.toml`), which tells of the machine that made it.

    python -m carafe_tools fixtures
"""

import tempfile
from pathlib import Path
from typing import Any

from carafe_tools.convert import convert_text
from carafe_tools.folder import atomic_file
from carafe_tools.gpt2 import Dimensions
from carafe_tools.gpt2_writer import gpt2_tflite
from carafe_tools.manifest import Licence
from carafe_tools.model_folder import About
from carafe_tools.opening import Carafe
from carafe_tools.tokenizer_files import train
from carafe_tools.weights import random

TINY = Dimensions(layers=2, width=64, heads=2, positions=64, vocabulary=512)
TINY_SEQUENCE = 32
TEXT, SOURCE = "texts/fables.txt", "tiny.tflite"
ABOUT = About(
    name="tiny",
    licence=Licence("Apache-2.0", "Random weights, made by `python -m carafe_tools fixtures` for tests."),
    description="random weights of GPT-2's architecture, for tests: it writes nonsense",
)


def write_tiny_source(folder: Path) -> Path:
    """Write the tiny model's .tflite into the fixtures folder and return its path."""
    source = folder / SOURCE
    with atomic_file(source) as building:
        building.write_bytes(gpt2_tflite(random(TINY), TINY_SEQUENCE))
    return source


def tiny_tokenizer(folder: Path, out: Path) -> Path:
    """Train the tiny model's tokenizer on the text in the fixtures folder, write it and return its
    path.
    """
    out.write_text(train((folder / TEXT).read_text(encoding="utf-8"), TINY.vocabulary), encoding="utf-8")
    return out


def write_fixtures(folder: Path, carafe: Carafe | None) -> dict[str, Any]:
    """Write every generated fixture and return what to tell."""
    with tempfile.TemporaryDirectory() as scratch:
        tokenizer = tiny_tokenizer(folder, Path(scratch) / "tokenizer.json")
        source = write_tiny_source(folder)
        return convert_text(source, tokenizer, folder / "models" / ABOUT.name, ABOUT, carafe, random_weights=True)
