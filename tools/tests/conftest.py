"""What the tests share: one tiny model, converted once, and ways to spoil its .tflite.

Everything is made here from seeds and from the text in `fixtures`, so the tests need no network and no other file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema

from carafe_tools.__main__ import main
from carafe_tools.fixtures import TEXT, TINY, TINY_SEQUENCE
from carafe_tools.gpt2_writer import gpt2_tflite
from carafe_tools.tflite_builder import FILE_IDENTIFIER
from carafe_tools.tokenizer_files import train
from carafe_tools.weights import random

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"

# a change of a .tflite, given the model and its one graph
Change = Callable[[Any, Any], None]


@dataclass(frozen=True)
class Tiny:
    """A tiny model's source and what `convert` makes of it."""

    source: Path
    tokenizer: Path
    folder: Path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """The tiny model, converted."""
    here = tmp_path_factory.mktemp("tiny")
    result = Tiny(here / "tiny.tflite", here / "tokenizer.json", here / "models" / "tiny")
    result.source.write_bytes(gpt2_tflite(random(TINY), TINY_SEQUENCE))
    result.tokenizer.write_text(train((FIXTURES / TEXT).read_text(encoding="utf-8"), TINY.vocabulary), encoding="utf-8")
    words = ["convert", str(result.source), "--tokenizer", str(result.tokenizer), "--out", str(result.folder)]
    assert main([*words, "--random-weights"]) == 0
    return result


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """A function that runs a command, expects exit code 1 and no data, and returns the sentence of the error."""

    def run(*words: object) -> str:
        assert main([str(word) for word in words]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        return captured.err.splitlines()[-1].removeprefix("error: ")

    return run


def rewritten(source: Path, target: Path, change: Change) -> Path:
    """Write a changed copy of a .tflite and return its path."""
    model = schema.ModelT.InitFromPackedBuf(bytearray(source.read_bytes()), 0)
    change(model, model.subgraphs[0])
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=FILE_IDENTIFIER)
    target.write_bytes(builder.Output())
    return target


def tensor_named(graph: Any, name: str) -> Any:
    """Return the tensor of a graph object that has a name."""
    return next(tensor for tensor in graph.tensors if tensor.name == name.encode())
