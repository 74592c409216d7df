"""Each source that `convert` refuses, with the sentence that it is refused in; nothing half-written
stays behind.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from conftest import FIXTURES, Change, Tiny, rewritten, tensor_named

from carafe_tools.gpt2 import Dimensions
from carafe_tools.gpt2_writer import gpt2_tflite
from carafe_tools.tokenizer_files import train
from carafe_tools.weights import random

WEIGHT = "h.1/mlp/c_fc/weight"


def convert(refused: Callable[..., str], source: Path, tokenizer: Path, out: Path) -> str:
    """Return the sentence by which a conversion is refused, having checked that it left nothing."""
    before = sorted(out.parent.iterdir())
    sentence = refused("convert", source, "--tokenizer", tokenizer, "--out", out)
    assert sorted(out.parent.iterdir()) == before
    return sentence


def of_tensor(which: str, **fields: Any) -> Change:
    """Return the change of a tensor's fields."""

    def change(_model: Any, graph: Any) -> None:
        tensor = tensor_named(graph, which)
        for field, value in fields.items():
            setattr(tensor, field, value)

    return change


def of_quantisation(name: str, **fields: Any) -> Change:
    """Return the change of a tensor's quantisation."""

    def change(_model: Any, graph: Any) -> None:
        for field, value in fields.items():
            setattr(tensor_named(graph, name).quantization, field, value)

    return change


def unknown_operation(model: Any, _graph: Any) -> None:
    for code in model.operatorCodes:
        if code.builtinCode == schema.BuiltinOperator.TANH:
            code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.LOGISTIC


def custom_operation(model: Any, _graph: Any) -> None:
    for code in model.operatorCodes:
        if code.builtinCode == schema.BuiltinOperator.TANH:
            code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
            code.customCode = b"FlexTanh"


def two_subgraphs(model: Any, graph: Any) -> None:
    model.subgraphs.append(graph)


def one_present_missing(_model: Any, graph: Any) -> None:
    graph.outputs = graph.outputs[:-1]


def presents_first(_model: Any, graph: Any) -> None:
    graph.outputs = graph.outputs[::-1].copy()


def two_inputs(_model: Any, graph: Any) -> None:
    graph.inputs = np.repeat(graph.inputs, 2)


def shuffled_positions(model: Any, graph: Any) -> None:
    positions = model.buffers[tensor_named(graph, "position_ids").buffer]
    positions.data = positions.data.view(np.int32)[::-1].copy().view(np.uint8)


def positions_subtracted(model: Any, graph: Any) -> None:
    """Take the positions from the tokens instead of adding them."""
    rows = next(index for index, tensor in enumerate(graph.tensors) if tensor.name == b"gather")
    operator = next(operator for operator in graph.operators if rows in operator.inputs)
    codes = [code.builtinCode for code in model.operatorCodes]
    operator.opcodeIndex = codes.index(schema.BuiltinOperator.SUB)


def without_gamma(_model: Any, graph: Any) -> None:
    """Take beta for gamma: the norm then has one constant only."""
    index = {tensor.name: place for place, tensor in enumerate(graph.tensors)}
    for operator in graph.operators:
        operator.inputs[operator.inputs == index[b"h.0/ln_2/gamma"]] = index[b"epsilon"]


def another_gelu(model: Any, graph: Any) -> None:
    """Change a constant that no weight's role depends on: the file is no GPT-2 any more, though it
    is built like one.
    """
    model.buffers[tensor_named(graph, "cubic").buffer].data = np.array([0.4], np.float32).view(np.uint8)


def index_beyond_the_tensors(_model: Any, graph: Any) -> None:
    graph.operators[0].inputs[0] = len(graph.tensors)


REFUSED: dict[str, tuple[Change, str]] = {
    "an unknown operation": (unknown_operation, "has an operation LOGISTIC (output `tanh`) that a GPT-2 is not made of"),
    "a custom operation": (custom_operation, "has an operation CUSTOM FlexTanh (output `tanh`) that a GPT-2 is not made of"),
    "duplicate names": (of_tensor(WEIGHT, name=b"wte"), "has two tensors named `wte`, which OpenVINO would read as one"),
    "two subgraphs": (two_subgraphs, "has 2 subgraphs; one was expected"),
    "an index beyond the tensors": (index_beyond_the_tensors, "is truncated or damaged: it names tensor"),
    "a wide input": (
        of_tensor("input_ids", type=schema.TensorType.INT64),
        "has a tensor `input_ids` of type INT64; at most 32 bits are accepted",
    ),
    "a wide tensor inside": (
        of_tensor("tanh", type=schema.TensorType.FLOAT64),
        "has a tensor `tanh` of type FLOAT64; at most 32 bits are accepted",
    ),
    "a real input": (
        of_tensor("input_ids", type=schema.TensorType.FLOAT32),
        "has an input `input_ids` of type FLOAT32 and shape [1, 32]; INT32 [1, T] was expected",
    ),
    "two inputs": (two_inputs, "has 2 inputs; one was expected"),
    "scales of another dimension": (
        of_quantisation(WEIGHT, scale=np.ones(64, np.float32), zeroPoint=np.zeros(64, np.int64), quantizedDimension=1),
        f"`{WEIGHT}` of `SOURCE` has 64 scales along dimension 1; one, or 256 along dimension 0 were expected",
    ),
    "a zero point": (
        of_quantisation(WEIGHT, zeroPoint=np.array([3], np.int64)),
        f"`{WEIGHT}` of `SOURCE` has zero point [3]; 0 was expected",
    ),
    "a scale of NaN": (
        of_quantisation(WEIGHT, scale=np.array([np.nan], np.float32)),
        f"`{WEIGHT}` of `SOURCE` has scale [nan]; positive numbers were expected",
    ),
    "no scale": (of_tensor(WEIGHT, quantization=None), f"`{WEIGHT}` of `SOURCE` is INT8 but has no scale"),
    "unsigned weights": (
        of_tensor(WEIGHT, type=schema.TensorType.UINT8),
        f"UINT8 weights are not supported: `{WEIGHT}` of `SOURCE`; INT8 was expected",
    ),
    "a transposed weight": (
        of_tensor(WEIGHT, shape=np.array([64, 256], np.int32)),
        f"`{WEIGHT}` of `SOURCE` has shape [64, 256]; [256, 64] was expected there",
    ),
    "positions that do not count from 0": (shuffled_positions, "has positions `position_ids` that do not count from 0"),
    "no positions": (positions_subtracted, "has no position embedding: an ADD after `gather` was expected, SUB was found"),
    "rows scaled otherwise than their table": (
        of_quantisation("wpe/rows", scale=np.array([0.5], np.float32)),
        "gathers `wpe/rows` with scales [0.5] of `wpe` with ",
    ),
    "one present too few": (one_present_missing, "none, or 2 presents of shape [2, 1, 2, 32, 32] were expected"),
    "the logits last": (presents_first, "the logits [1, 32, 512] were expected"),
    "no gamma": (without_gamma, "has no gamma in the norm before `h.0/mlp/c_fc/weight`"),
    "another function than GELU": (
        another_gelu,
        "was converted but the certificate failed, so nothing was written: `exact_against_faithful` has max_error",
    ),
    "heads that contradict the presents": (
        of_tensor("softmax", shape=np.array([1, 4, 32, 32], np.int32)),
        "has softmax shapes [[1, 2, 32, 32], [1, 4, 32, 32]]; [1, heads, 32, 32] was expected",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_source_is_refused_in_one_sentence_that_names_what_is_wrong(
    case: str, tiny: Tiny, refused: Callable[..., str], tmp_path: Path
) -> None:
    change, sentence = REFUSED[case]
    source = rewritten(tiny.source, tmp_path / "changed.tflite", change)
    assert sentence.replace("SOURCE", str(source)) in convert(refused, source, tiny.tokenizer, tmp_path / "out")


@pytest.mark.parametrize("kept", [20, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_refused(kept: float, tiny: Tiny, refused: Callable[..., str], tmp_path: Path) -> None:
    contents = tiny.source.read_bytes()
    source = tmp_path / "truncated.tflite"
    source.write_bytes(contents[: int(kept if kept > 1 else kept * len(contents))])
    sentence = convert(refused, source, tiny.tokenizer, tmp_path / "out")
    assert sentence.startswith(f"`{source}` is truncated or damaged: ")


def test_a_file_of_a_few_bytes_is_refused(tiny: Tiny, refused: Callable[..., str], tmp_path: Path) -> None:
    source = tmp_path / "short.tflite"
    source.write_bytes(b"TFL3")
    sentence = convert(refused, source, tiny.tokenizer, tmp_path / "out")
    assert sentence == f"`{source}` is 4 bytes long, too short for a TFLite file"


def test_a_file_of_another_kind_is_refused(tiny: Tiny, refused: Callable[..., str], tmp_path: Path) -> None:
    sentence = convert(refused, tiny.tokenizer, tiny.tokenizer, tmp_path / "out")
    assert sentence.startswith(f"`{tiny.tokenizer}` is not a TFLite file: bytes 4 to 8 are ")


def test_a_source_that_is_not_there_is_refused(tiny: Tiny, refused: Callable[..., str], tmp_path: Path) -> None:
    source = tmp_path / "none.tflite"
    assert convert(refused, source, tiny.tokenizer, tmp_path / "out") == f"`{source}` does not exist"


def test_a_tokenizer_of_another_size_is_refused(tiny: Tiny, refused: Callable[..., str], tmp_path: Path) -> None:
    tokenizer = tmp_path / "other.json"
    tokenizer.write_text(train((FIXTURES / "texts/fables.txt").read_text(), 500))
    sentence = convert(refused, tiny.source, tokenizer, tmp_path / "out")
    assert sentence.startswith(f"`{tokenizer}` has 500 tokens but the token embedding of `{tiny.source}` has 512 rows")


def test_a_tokenizer_with_an_id_beyond_the_embedding_is_refused(tiny: Tiny, refused: Callable[..., str], tmp_path: Path) -> None:
    tokenizer = tmp_path / "other.json"
    contents = json.loads(tiny.tokenizer.read_text(encoding="utf-8"))
    vocabulary = contents["model"]["vocab"]
    vocabulary[max(vocabulary, key=vocabulary.get)] = 600
    tokenizer.write_text(json.dumps(contents), encoding="utf-8")
    sentence = convert(refused, tiny.source, tokenizer, tmp_path / "out")
    assert sentence == f"`{tokenizer}` has a token with id 600; ids from 0 to 511 were expected"


def test_a_tokenizer_that_cannot_be_read_is_refused(tiny: Tiny, refused: Callable[..., str], tmp_path: Path) -> None:
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_text("{}")
    sentence = convert(refused, tiny.source, tokenizer, tmp_path / "out")
    assert sentence.startswith(f"failed to read `{tokenizer}` as a `tokenizer.json`: ")


def test_a_text_model_without_a_tokenizer_is_refused(tiny: Tiny, refused: Callable[..., str], tmp_path: Path) -> None:
    assert refused("convert", tiny.source, "--out", tmp_path / "out") == "a text model needs the option `--tokenizer`"


def test_an_option_of_another_task_is_refused(tiny: Tiny, refused: Callable[..., str], tmp_path: Path) -> None:
    words = ("convert", tiny.source, "--out", tmp_path / "out", "--tokenizer", tiny.tokenizer, "--labels", tiny.tokenizer)
    assert refused(*words) == "a text model takes no option `--labels`"


def test_probe_refuses_a_file_that_takes_no_tokens(tiny: Tiny, refused: Callable[..., str], tmp_path: Path) -> None:
    source = rewritten(tiny.source, tmp_path / "changed.tflite", of_tensor("input_ids", type=schema.TensorType.FLOAT32))
    assert refused("probe", source) == f"`{source}` does not take one INT32 tensor of token ids; `probe` runs text models alone"


def test_a_context_too_short_to_certify_is_refused(tiny: Tiny, refused: Callable[..., str], tmp_path: Path) -> None:
    source = tmp_path / "short.tflite"
    source.write_bytes(gpt2_tflite(random(Dimensions(1, 64, 2, 16, 512)), 16))
    sentence = convert(refused, source, tiny.tokenizer, tmp_path / "out")
    assert sentence.startswith("the model's context of 16 tokens is too short to certify; ")


def test_a_folder_that_is_no_model_is_not_replaced(tiny: Tiny, refused: Callable[..., str], tmp_path: Path) -> None:
    letter = tmp_path / "letters" / "letter.txt"
    letter.parent.mkdir()
    letter.write_text("dear reader")
    sentence = convert(refused, tiny.source, tiny.tokenizer, letter.parent)
    assert sentence.startswith(f"`{letter.parent}` exists and holds no `model.toml`, so it is not replaced")
    assert letter.read_text() == "dear reader"


def test_a_name_that_no_model_can_have_is_refused(tiny: Tiny, refused: Callable[..., str], tmp_path: Path) -> None:
    sentence = convert(refused, tiny.source, tiny.tokenizer, tmp_path / "Big Model")
    assert sentence.startswith("`Big Model` cannot be a model's name; it must match ")
