"""A classifier's way from a .tflite to a model folder, and each source that is refused on it.

The classifier is the tiny one of `conftest`: one convolution, a mean, a fully connected layer,
softmax, 8 x 6 pixels, 5 labels.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from ai_edge_litert import schema_py_generated as schema
from conftest import CLASSES, HEIGHT, LABELS, WIDTH, Change, Classifier, rewritten, tensor_named

from carafe_tools.certificate import load_graph
from carafe_tools.classifier_certificate import best
from carafe_tools.classifier_source import check_classifier
from carafe_tools.manifest import read_manifest
from carafe_tools.tflite_file import read_tflite

pytestmark = [pytest.mark.openvino, pytest.mark.litert]


@pytest.fixture
def source(tiny_classifier: Classifier) -> Path:
    return tiny_classifier.source


@pytest.fixture
def labels(tiny_classifier: Classifier) -> Path:
    return tiny_classifier.labels


@pytest.fixture
def folder(tiny_classifier: Classifier) -> Path:
    return tiny_classifier.folder


def test_the_folder_holds_the_model_and_nothing_else(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    assert names == {"model.toml", "model.xml", "model.bin", "labels.txt", "certificate.json", "LICENSE"}
    assert (folder / "labels.txt").read_text() == "".join(f"{label}\n" for label in LABELS)


def test_the_manifest_says_what_goes_in_and_what_scores_mean(folder: Path) -> None:
    manifest = read_manifest(folder)
    assert manifest["task"] == "image-classification"
    assert manifest["inputs"] == [{"name": "pixels", "role": "pixels", "type": "u8", "shape": [1, HEIGHT, WIDTH, 3]}]
    assert manifest["outputs"] == [{"name": "scores", "role": "scores", "type": "u8", "shape": [1, CLASSES]}]
    assert manifest["image"] == {
        "width": WIDTH,
        "height": HEIGHT,
        "layout": "nhwc",
        "channels": "rgb",
        "resize": "stretch",
        "filter": "bilinear",
        "pixels": "raw",
        "scores": "quantised-probabilities",
        "score_scale": 1 / 256,
        "score_zero_point": 0,
        "label_offset": 0,
    }


def test_the_certificate_passes_and_names_no_wide_tensor(folder: Path) -> None:
    certificate = json.loads((folder / "certificate.json").read_text())
    assert certificate["passed"]
    assert certificate["graph"]["widest_bits"] <= 32
    assert certificate["determinism"]["bit_identical"] == {"exact": True, "fast": True}
    assert certificate["scores"]["exact_against_faithful"]["max_error"] == 0
    litert = certificate["scores"]["exact_against_litert"]
    assert litert["max_error"] <= litert["limit"]


def test_the_pattern_in_the_certificate_is_what_the_graph_gives(folder: Path) -> None:
    certificate = json.loads((folder / "certificate.json").read_text())
    pixels = np.array([(i * 37 + (i // 1000) * 11) % 256 for i in range(HEIGHT * WIDTH * 3)], np.uint8)
    compiled = ov.Core().compile_model(load_graph(folder), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    row = compiled([pixels.reshape(1, HEIGHT, WIDTH, 3)])[0][0]
    assert certificate["pattern"]["top"] == [[index, float(row[index])] for index in best(row, 5)]


def test_the_best_scores_of_equal_ones_have_the_lower_index() -> None:
    assert best(np.array([1, 7, 3, 7, 3], np.uint8), 4) == [1, 3, 2, 4]


def test_scores_that_no_softmax_made_are_logits(source: Path, tmp_path: Path) -> None:
    def without_softmax(model: Any, _graph: Any) -> None:
        for code in model.operatorCodes:
            if code.builtinCode == schema.BuiltinOperator.SOFTMAX:
                code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RELU

    changed = rewritten(source, tmp_path / "changed.tflite", without_softmax)
    assert check_classifier(read_tflite(changed)).scores["scores"] == "quantised-logits"


def of_tensor(which: str, **fields: Any) -> Change:
    """Return the change of a tensor's fields."""

    def change(_model: Any, graph: Any) -> None:
        for field, value in fields.items():
            setattr(tensor_named(graph, which), field, value)

    return change


def unknown_operation(model: Any, _graph: Any) -> None:
    model.operatorCodes[0].builtinCode = model.operatorCodes[0].deprecatedBuiltinCode = schema.BuiltinOperator.TANH


def another_output(_model: Any, graph: Any) -> None:
    graph.outputs = np.append(graph.outputs, graph.outputs[0] - 1).astype(np.int32)


def two_scales(_model: Any, graph: Any) -> None:
    quantisation = tensor_named(graph, "scores").quantization
    quantisation.scale, quantisation.zeroPoint = np.array([0.1, 0.2], np.float32), np.zeros(2, np.int64)


REFUSED: dict[str, tuple[Change, str]] = {
    "an unknown operation": (unknown_operation, "`SOURCE` has the operation `TANH`; those of a classifier are ADD, "),
    "a float input": (
        of_tensor("pixels", type=schema.TensorType.FLOAT32),
        "the input `pixels` of `SOURCE` is FLOAT32; UINT8 was expected",
    ),
    "one channel": (
        of_tensor("pixels", shape=np.array([1, 6, 24, 1], np.int32)),
        "the input `pixels` of `SOURCE` has shape [1, 6, 24, 1]; [1, height, width, 3] was expected",
    ),
    "a batch of two": (
        of_tensor("pixels", shape=np.array([2, 6, 4, 3], np.int32)),
        "the input `pixels` of `SOURCE` has shape [2, 6, 4, 3]; [1, height, width, 3] was expected",
    ),
    "scores in three dimensions": (
        of_tensor("scores", shape=np.array([1, 1, 5], np.int32)),
        "the output `scores` of `SOURCE` has shape [1, 1, 5]; [1, classes] was expected",
    ),
    "integer scores": (
        of_tensor("scores", type=schema.TensorType.INT8),
        "the output `scores` of `SOURCE` is INT8; UINT8 or FLOAT32 was expected",
    ),
    "scores without a scale": (
        of_tensor("scores", quantization=None),
        "the output `scores` of `SOURCE` has 0 scales; one was expected",
    ),
    "scores with two scales": (two_scales, "the output `scores` of `SOURCE` has 2 scales; one was expected"),
    "two outputs": (another_output, "`SOURCE` has 2 outputs; one was expected"),
    "two names that are equal": (of_tensor("mean", name="logits"), "`SOURCE` has two tensors named `logits`"),
    "a wide tensor": (of_tensor("mean", type=schema.TensorType.INT64), "`SOURCE` has a tensor `mean` of type INT64"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_source_is_refused_in_one_sentence(
    case: str, source: Path, labels: Path, refused: Callable[..., str], tmp_path: Path
) -> None:
    change, sentence = REFUSED[case]
    changed = rewritten(source, tmp_path / "changed.tflite", change)
    found = refused("convert", changed, "--labels", labels, "--out", tmp_path / "out")
    assert found.startswith(sentence.replace("SOURCE", str(changed)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["changed.tflite"]


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9])
def test_a_truncated_file_is_refused(
    kept: float, source: Path, labels: Path, refused: Callable[..., str], tmp_path: Path
) -> None:
    contents = source.read_bytes()
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(contents[: int(len(contents) * kept)])
    sentence = refused("convert", cut, "--labels", labels, "--out", tmp_path / "out")
    assert sentence.startswith(f"`{cut}` is truncated or damaged: ")


def test_labels_of_another_number_are_refused(source: Path, refused: Callable[..., str], tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(LABELS[1:]))
    sentence = refused("convert", source, "--labels", labels, "--out", tmp_path / "out")
    assert sentence == f"`{labels}` has 4 labels but the model has 5 scores; they must be equal"


def test_a_blank_label_is_refused(source: Path, refused: Callable[..., str], tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join([*LABELS[:3], " ", LABELS[4]]))
    sentence = refused("convert", source, "--labels", labels, "--out", tmp_path / "out")
    assert sentence == f"line 4 of `{labels}` is blank; a label was expected"


def test_a_certificate_that_fails_leaves_nothing(
    source: Path, labels: Path, refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_scores(_path: Path, _kernels: object, inputs: list[np.ndarray]) -> list[np.ndarray]:
        return [np.full((1, CLASSES), 99, np.float32) for _ in inputs]

    monkeypatch.setattr("carafe_tools.classifier_certificate._litert_scores", other_scores)
    sentence = refused("convert", source, "--labels", labels, "--out", tmp_path / "out")
    assert "was converted but the certificate failed, so nothing was written: `exact_against_litert`" in sentence
    assert not list(tmp_path.iterdir())
