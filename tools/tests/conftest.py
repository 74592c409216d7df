"""What the tests share: a tiny text model and a tiny classifier, each converted once, and ways to
spoil a .tflite.

Everything is made here from seeds and from the text in `fixtures`, so the tests need no network and
no other file.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from carafe_tools.__main__ import main
from carafe_tools.errors import ConversionError
from carafe_tools.fixtures import TEXT, TINY, TINY_SEQUENCE
from carafe_tools.gpt2_writer import gpt2_tflite
from carafe_tools.opening import Carafe, find_carafe
from carafe_tools.tflite_builder import FILE_IDENTIFIER, GraphBuilder, options
from carafe_tools.tokenizer_files import train
from carafe_tools.weights import random

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
HEIGHT, WIDTH, CLASSES = 6, 8, 5
# these tests run without the program; those of crates/carafe-e2e open what is converted
UNOPENED = "--unopened"
LABELS = ["tench", "goldfish", "great white shark", "tiger shark", "hammerhead"]

# a change of a .tflite, given the model and its one graph
Change = Callable[[Any, Any], None]


def convert(source: Path, folder: Path, *options: object) -> None:
    """Make a model folder, which must succeed."""
    assert main([str(word) for word in ("convert", source, "--out", folder, UNOPENED, *options)]) == 0


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
    convert(result.source, result.folder, "--tokenizer", result.tokenizer, "--random-weights")
    return result


@dataclass(frozen=True)
class Classifier:
    """A tiny classifier's source and what `convert` makes of it."""

    source: Path
    labels: Path
    folder: Path


@pytest.fixture(scope="session")
def tiny_classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """The tiny classifier, converted; its labels stand in for a licence too."""
    here = tmp_path_factory.mktemp("classifier")
    result = Classifier(here / "tiny.tflite", here / "labels.txt", here / "models" / "tiny")
    result.source.write_bytes(classifier_tflite())
    result.labels.write_text("\n".join(LABELS))
    convert(result.source, result.folder, "--labels", result.labels, "--licence", "Apache-2.0", "--licence-text", result.labels)
    return result


def lacking(reason: str) -> None:
    """Skip, or fail where the tests must be whole."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


def program() -> Carafe:
    """The program that serves models, where it is built."""
    try:
        return find_carafe(None)
    except ConversionError as error:
        lacking(str(error))
        raise


def classifier_tflite() -> bytearray:
    """Return a .tflite from u8 pixels to u8 probabilities."""
    generator = np.random.default_rng(7)
    graph = GraphBuilder("tiny classifier")
    pixels = graph.tensor("pixels", (1, HEIGHT, WIDTH, 3), np.uint8, np.float32(1 / 255))
    real = graph.tensor("real", (1, HEIGHT, WIDTH, 3))
    graph.operation("DEQUANTIZE", [pixels], [real])
    kernels = graph.constant("kernels", generator.normal(0, 1, (4, 3, 3, 3)))
    offsets = graph.constant("offsets", np.full(4, 0.1))
    features = graph.tensor("features", (1, 4, 6, 4))
    strides = {"strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}
    settings = options("Conv2D", padding=schema.Padding.VALID, fusedActivationFunction=1, **strides)
    graph.operation("CONV_2D", [real, kernels, offsets], [features], settings)
    mean = graph.tensor("mean", (1, 4))
    graph.operation("MEAN", [features, graph.constant("axes", [1, 2], np.int32)], [mean], options("Reducer", keepDims=False))
    weights = graph.constant("weights", generator.normal(0, 1, (CLASSES, 4)))
    logits = graph.tensor("logits", (1, CLASSES))
    graph.operation("FULLY_CONNECTED", [mean, weights, -1], [logits], options("FullyConnected"))
    probabilities = graph.tensor("probabilities", (1, CLASSES))
    graph.operation("SOFTMAX", [logits], [probabilities], options("Softmax", beta=1.0))
    scores = graph.tensor("scores", (1, CLASSES), np.uint8, np.float32(1 / 256))
    graph.operation("QUANTIZE", [probabilities], [scores])
    return graph.finish([pixels], [scores])


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """A function that runs a command, expects exit code 1 and no data, and returns the sentence of
    the error.
    """

    def run(*words: object) -> str:
        unopened = [UNOPENED] if words[0] in ("add", "convert", "certify") else []
        assert main([*map(str, words), *unopened]) == 1
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
