"""Exported folders become certified model folders whole, and what cannot be served is refused by
its name.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino as ov
import openvino.opset13 as opset
import pytest
from conftest import FIXTURES, UNOPENED
from openvino import PartialShape, Type

from carafe_tools.__main__ import main
from carafe_tools.errors import ConversionError
from carafe_tools.exported import count_weights
from carafe_tools.exported_graph import prepare
from carafe_tools.genai import NOT_INSTALLED, first_difference
from carafe_tools.language_certificate import prompt_tokens
from carafe_tools.manifest import read_manifest
from carafe_tools.zoo import ARCHIVE, unpack

pytestmark = pytest.mark.openvino

TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}\n"

# a change of an exported graph
Change = Callable[[ov.Model], ov.Model | None]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return unpack(FIXTURES / ARCHIVE, tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="module")
def added(zoo: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of an export that has all that an export may have, in 4 bits."""
    source = zoo["qwen3-int4"]
    (source / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    (source / "tokenizer_config.json").write_text(json.dumps({"eos_token": '"', "auto_map": {"AutoTokenizer": "evil.py"}}))
    (source / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 0], "do_sample": True, "top_k": 20}))
    folder, texts = tmp_path_factory.mktemp("models") / "qwen3-int4", tmp_path_factory.mktemp("texts")
    (texts / "LICENSE").write_text("the licence\n")
    (texts / "USE_POLICY.md").write_text("the policy\n")
    licence = ["--licence", "Apache-2.0", *(f"--licence-text={texts / name}" for name in ("LICENSE", "USE_POLICY.md"))]
    assert main(["add", str(source), "--out", str(folder), *licence, UNOPENED]) == 0
    return folder


def test_nothing_that_the_model_needs_is_lost_on_the_way(added: Path) -> None:
    manifest = read_manifest(added)
    assert manifest["text"] == {
        "context_length": 512,
        "vocabulary_size": 512,
        "eos_token_ids": [2, 0],
        "prefill_chunk": 256,
        "weight_bits": 4,
        "special_tokens": {"eos_token": '"'},
        "generation": {"top_k": 20},
    }
    assert manifest["files"].keys() == {"graph", "weights", "tokenizer", "chat_template", "certificate"}
    assert (added / "chat_template.jinja").read_text(encoding="utf-8") == TEMPLATE
    assert manifest["licence"]["spdx"] == "Apache-2.0"
    assert (added / "LICENSE").read_text() == "the licence\n"
    assert (added / "USE_POLICY.md").read_text() == "the policy\n"


def test_the_certificate_says_which_form_ran_and_against_whom(added: Path) -> None:
    certificate = json.loads((added / "certificate.json").read_text(encoding="utf-8"))
    assert certificate["passed"] is True
    assert certificate["form"] == {"name": "quick", "sequences": 2, "tokens": 256, "positions": 256, "sliding_window": None}
    gated = {name for name, entry in certificate["logits"].items() if entry["passed"] is not None}
    assert gated == {"exact_against_stateful", "exact_step_by_step", "exact_against_source"}
    differences = certificate["determinism"]["largest_differences"]["exact"]
    assert differences.keys() == {"cuts", "beside_others", "rejected_drafts", "token_by_token"}
    assert max(differences.values()) < 1e-4
    assert [len(entry["tokens"]) for entry in certificate["greedy"]] == [32, 32, 32]
    assert certificate["graph"]["widest_bits"] == 32
    assert (certificate["not_compared"] == {"genai": NOT_INSTALLED}) != ("genai" in certificate)


def test_another_token_than_the_runtimes_is_measured_by_its_logit(added: Path) -> None:
    greedy = json.loads((added / "certificate.json").read_text(encoding="utf-8"))["greedy"][0]
    ours = greedy["tokens"]
    theirs = [*ours[:7], (ours[7] + 1) % 512, *ours[8:]]
    found = first_difference(added, greedy["prompt_tokens"], ours, theirs)
    assert (found["position"], found["token"], found["genai_token"]) == (7, ours[7], theirs[7])
    assert found["gap"] > found["limit"] > 0


def test_a_folder_is_certified_again_without_its_source_and_the_certificate_says_so(added: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(added, tmp_path / "qwen3-int4"))
    assert main(["certify", str(folder), "--write", UNOPENED]) == 0
    certificate = json.loads((folder / "certificate.json").read_text(encoding="utf-8"))
    assert certificate["logits"].keys() == {
        "exact_against_stateful",
        "exact_step_by_step",
        "fast_against_exact",
        "latency_against_exact",
    }
    assert certificate["not_compared"] == {
        "source": "`qwen3-int4`, which it was made from, is not at hand; `--source PATH` names it"
    }


@pytest.mark.parametrize(
    ("context", "window", "full", "tokens"),
    [
        (8192, None, False, 256),
        (8192, 4096, False, 4160),
        (8192, None, True, 1000),
        (8192, 4096, True, 6144),
        (512, 64, True, 448),
        (64, None, False, 32),
    ],
)
def test_a_certificate_reaches_past_a_sliding_window(context: int, window: int | None, full: bool, tokens: int) -> None:
    assert prompt_tokens(context, window, full) == tokens


def changed(source: Path, target: Path, change: Change) -> Path:
    """Write a copy of an export whose graph is changed, and return its folder."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("openvino_model.*"))
    graph = ov.Core().read_model(source / "openvino_model.xml")
    graph = change(graph) or graph
    graph.validate_nodes_and_infer_types()
    ov.save_model(graph, target / "openvino_model.xml", compress_to_fp16=False)
    return target


def with_another_input(graph: ov.Model) -> None:
    parameter = opset.parameter(PartialShape([-1, -1]), Type.i64, name="token_type_ids")
    parameter.output(0).set_names({"token_type_ids"})
    graph.add_parameters([parameter])


def with_another_state(graph: ov.Model) -> ov.Model:
    """Let the logits depend on a state that is no KV cache, as those of a recurrent model do."""
    hidden = head_of(graph).input_value(0)
    state = opset.read_value(opset.constant(np.zeros((1, 1, 64), np.float32)), "conv_state.0", Type.f32, PartialShape([1, 1, 64]))
    moved = opset.add(hidden, state)
    head_of(graph).input(0).replace_source_output(moved.output(0))
    assign = opset.assign(opset.multiply(state, opset.constant(np.float32(0.5))), "conv_state.0")
    return ov.Model(graph.get_results(), [*graph.get_sinks(), assign], graph.get_parameters(), "with another state")


def with_a_softmax(graph: ov.Model) -> None:
    result = graph.get_results()[0]
    softmax = opset.softmax(result.input_value(0), 2)
    softmax.set_friendly_name("probabilities")
    result.input_value(0).set_names(set())
    softmax.output(0).set_names({"logits"})
    result.input(0).replace_source_output(softmax.output(0))


def with_a_mask_of_zeros(graph: ov.Model) -> None:
    """Let every position attend to later ones too, which pages never do."""
    for operation in graph.get_ops():
        if operation.get_type_name() == "ScaledDotProductAttention":
            mask = opset.constant(np.zeros((1, 1, 1, 1), np.float32))
            operation.input(3).replace_source_output(mask.output(0))


def with_a_wide_constant(graph: ov.Model) -> None:
    result = graph.get_results()[0]
    wide = opset.constant(np.float64(0.1))
    wide.set_friendly_name("tenth")
    scaled = opset.multiply(result.input_value(0), opset.convert(wide, "f32"))
    result.input_value(0).set_names(set())
    scaled.output(0).set_names({"logits"})
    result.input(0).replace_source_output(scaled.output(0))


def head_of(graph: ov.Model) -> ov.Node:
    return graph.get_results()[0].input_value(0).get_node()


REFUSED = [
    (with_another_input, "wants the input `token_type_ids`, which Carafe does not know how to set"),
    (with_another_state, "keeps the state `conv_state.0`, which is no KV cache that can be put into pages"),
    (with_a_softmax, "come out of Softmax `probabilities`"),
    (with_a_mask_of_zeros, "the certificate failed, so nothing was written: `exact_against_stateful` has max_error "),
    (with_a_wide_constant, "the f64 constant `tenth` has values that f32 cannot hold"),
]


@pytest.mark.parametrize(("change", "sentence"), REFUSED)
def test_a_graph_that_cannot_be_served_is_refused_by_name_and_nothing_is_left(
    change: Change, sentence: str, zoo: dict[str, Path], refused: Callable[..., str], tmp_path: Path
) -> None:
    source = changed(zoo["llama"], tmp_path / "source", change)
    assert sentence in refused("add", source, "--out", tmp_path / "models" / "llama")
    assert not (tmp_path / "models").exists() or list((tmp_path / "models").iterdir()) == []


def test_an_export_without_a_context_length_is_refused(zoo: dict[str, Path], refused: Callable[..., str], tmp_path: Path) -> None:
    sentence = refused("add", zoo["bloom"], "--out", tmp_path / "bloom")
    assert sentence.endswith("name the context's tokens by `--context-length N`")


def test_a_tokenizer_with_more_tokens_than_logits_is_refused(
    zoo: dict[str, Path], refused: Callable[..., str], tmp_path: Path
) -> None:
    larger = FIXTURES / "gpt2-tokenizer" / "tokenizer.json"
    sentence = refused("add", zoo["llama"], "--tokenizer", larger, "--out", tmp_path / "llama")
    assert sentence.endswith("has a token with id 50256; the logits have ids 0 to 511")


def test_an_export_takes_no_option_of_another_kind(zoo: dict[str, Path], refused: Callable[..., str], tmp_path: Path) -> None:
    sentence = refused("add", zoo["llama"], "--weights", "int8", "--out", tmp_path / "llama")
    assert sentence == "an exported OpenVINO folder, whose weights stay as they are, takes no option `--weights`"


def test_a_folder_that_is_no_source_is_refused_with_the_kinds_that_are(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "is no source of a model; one of these was expected: exported OpenVINO folder" in refused(
        "add", tmp_path, "--out", tmp_path / "llama"
    )


def decoder(logits: Callable[[ov.Node], ov.Node]) -> ov.Model:
    """Return a graph with a decoder's inputs, whose logits are made of (B, S, E) hidden values."""
    inputs = {"input_ids": 2, "attention_mask": 2, "beam_idx": 1}
    nodes = []
    for name, rank in inputs.items():
        node = opset.parameter(PartialShape([-1] * rank), Type.i64, name=name)
        node.output(0).set_names({name})
        nodes.append(node)
    table = opset.constant(np.arange(40, dtype=np.float32).reshape(10, 4) / 40)
    output = logits(opset.gather(table, nodes[0], opset.constant(0, Type.i32)))
    output.output(0).set_names({"logits"})
    return ov.Model([opset.result(output)], nodes, "decoder")


def half_logits(hidden: ov.Node) -> ov.Node:
    head = opset.constant(np.ones((10, 4), np.float16))
    return opset.matmul(opset.convert(hidden, "f16"), head, False, True)


def capped_logits(hidden: ov.Node) -> ov.Node:
    head = opset.convert(opset.constant(np.ones((10, 4), np.int8)), "f32")
    scaled = opset.divide(opset.matmul(hidden, head, False, True), opset.constant(np.float32([[[30]]])))
    return opset.multiply(opset.constant(np.float32(30)), opset.tanh(scaled))


@pytest.mark.parametrize("logits", [half_logits, capped_logits])
def test_only_the_wanted_rows_reach_the_head_and_what_follows_it_is_kept(logits: Callable[[ov.Node], ov.Node]) -> None:
    ids, wanted = np.array([[1, 5, 9], [2, 4, 6]]), np.array([4, 0], np.int32)
    others = [np.ones((2, 3)), np.arange(2)]
    whole = run(decoder(logits), [ids, *(values.astype(np.int64) for values in others)])
    model = decoder(logits)
    prepare(model, "`model`")
    assert {port.get_any_name(): port.get_element_type().to_string() for port in model.inputs} == dict.fromkeys(
        ("input_ids", "attention_mask", "beam_idx", "position_ids", "logit_idx"), "i32"
    )
    positions = np.zeros((2, 3), np.int32)
    rows = run(model, [ids.astype(np.int32), *(values.astype(np.int32) for values in others), positions, wanted])
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, whole.reshape(6, 10)[wanted], rtol=1e-2 if logits is half_logits else 1e-5)


def run(model: ov.Model, inputs: list[np.ndarray]) -> np.ndarray:
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    return ov.Core().compile_model(model, "CPU", exact).create_infer_request().infer(inputs)["logits"].copy()


def test_an_export_that_is_not_stateful_is_refused() -> None:
    parameter = opset.parameter(PartialShape([-1, -1]), Type.i64, name="input_ids")
    parameter.output(0).set_names({"input_ids"})
    output = opset.convert(parameter, "f32")
    output.output(0).set_names({"logits"})
    with pytest.raises(ConversionError, match="has no input `attention_mask`; a stateful export of a decoder was expected"):
        prepare(ov.Model([opset.result(output)], [parameter], "other"), "`model`")


def test_the_bits_of_most_weights_are_the_models() -> None:
    parts = [
        opset.convert(opset.constant(np.ones(shape, kind)), "f32") for shape, kind in (((8, 8), np.int8), ((4, 4), np.float16))
    ]
    assert count_weights(ov.Model([opset.result(part) for part in parts], [], "weights")) == (8, 80)
