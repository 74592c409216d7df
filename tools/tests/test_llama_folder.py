"""A Hugging Face folder of the llama kind becomes a graph with PyTorch's logits; what cannot be
computed is refused by its key.

PyTorch's logits are those of the zoo: the weights of its exports, which their graphs name as
PyTorch does, are written back into .safetensors. Norms of ones and biases of zeros, which the
exporter left out, are put in again.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from conftest import FIXTURES, UNOPENED
from safetensors.numpy import save_file

from carafe_tools.__main__ import main
from carafe_tools.comparison import RELATIVE_LIMIT
from carafe_tools.environment import compile_model
from carafe_tools.errors import ConversionError
from carafe_tools.llama_folder import read_llama_folder
from carafe_tools.llama_graph import build_llama_graph
from carafe_tools.llama_reference import llama_logits
from carafe_tools.llama_source import read_llama_source
from carafe_tools.manifest import read_manifest, sha256
from carafe_tools.narrow import wide_tensors
from carafe_tools.text_context import compile_paged, logits_in_steps, stateful_logits
from carafe_tools.zoo import ARCHIVE, REFERENCE, unpack

pytestmark = pytest.mark.openvino
NAMES = ("llama", "qwen2", "qwen3", "smollm3")
CONTEXT = 512


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The zoo's exports that are of the llama kind, as folders of .safetensors."""
    found = unpack(FIXTURES / ARCHIVE, tmp_path_factory.mktemp("exports"))
    for name in (*NAMES, "mistral"):
        save_file(_tensors(found[name]), found[name] / "model.safetensors")
    return found


def _tensors(export: Path) -> dict[str, np.ndarray]:
    """The tensors of an export by PyTorch's names."""
    config = json.loads((export / "config.json").read_text(encoding="utf-8"))
    constants = [
        node for node in ov.Core().read_model(export / "openvino_model.xml").get_ops() if node.get_type_name() == "Constant"
    ]
    named = {node.get_friendly_name().removeprefix("self."): node for node in constants}
    tensors = {name: np.array(node.get_data()) for name, node in named.items() if name.endswith(".weight")}
    E, heads = config["hidden_size"], config["num_attention_heads"]
    D = config.get("head_dim") or E // heads
    tensors["model.norm.weight"] = np.ones(E, np.float32)
    for index in range(config["num_hidden_layers"]):
        layer = f"model.layers.{index}."
        tensors |= {f"{layer}{norm}.weight": np.ones(E, np.float32) for norm in ("input_layernorm", "post_attention_layernorm")}
        if config["model_type"] == "qwen2":
            rows = {part: len(tensors[f"{layer}self_attn.{part}_proj.weight"]) for part in "qkv"}
            tensors |= {f"{layer}self_attn.{part}_proj.bias": np.zeros(rows[part], np.float32) for part in "qkv"}
        if config["model_type"] == "qwen3":
            tensors |= {f"{layer}self_attn.{part}_norm.weight": np.ones(D, np.float32) for part in "qk"}
    return tensors


def _changed(folder: Path, into: Path, **changes: Any) -> Path:
    """A copy of a folder with another configuration."""
    shutil.copytree(folder, into)
    config = json.loads((into / "config.json").read_text(encoding="utf-8")) | changes
    (into / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return into


@pytest.mark.parametrize("name", NAMES)
def test_the_graph_of_a_folder_has_pytorchs_logits_in_pages_and_as_it_is(name: str, folders: dict[str, Path]) -> None:
    reference = np.load(folders[name] / REFERENCE)
    tokens = reference["ids"].reshape(-1).astype(np.int32)
    expected = reference["ref"].reshape(len(tokens), -1)
    model = read_llama_folder(folders[name], CONTEXT)
    assert wide_tensors(build_llama_graph(model)) == []
    limit = RELATIVE_LIMIT * np.abs(expected).max()
    paged = compile_paged(build_llama_graph(model), "exact")
    assert np.abs(logits_in_steps(paged, tokens, range(40, len(tokens))) - expected).max() <= limit
    assert np.abs(stateful_logits(compile_model(build_llama_graph(model), "exact"), tokens) - expected).max() <= limit
    assert np.abs(llama_logits(model, tokens) - expected).max() <= limit


@pytest.mark.parametrize(
    "scaling",
    [
        {"rope_type": "linear", "factor": 4.0},
        {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64},
        {"rope_type": "default", "partial_rotary_factor": 0.5},
    ],
)
def test_scaled_positions_are_computed_as_the_reference_does(scaling: dict, folders: dict[str, Path], tmp_path: Path) -> None:
    plain = read_llama_folder(folders["llama"], CONTEXT)
    model = read_llama_folder(_changed(folders["llama"], tmp_path / "scaled", rope_parameters=scaling), CONTEXT)
    tokens = np.random.default_rng(5).integers(0, 512, 100, np.int32)
    expected = llama_logits(model, tokens)
    found = stateful_logits(compile_model(build_llama_graph(model), "exact"), tokens)
    assert np.abs(found - expected).max() <= RELATIVE_LIMIT * np.abs(expected).max()
    assert np.abs(expected - llama_logits(plain, tokens)).max() > 1e-3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden_act": "gelu"}, "has hidden_act `gelu`; `silu` was expected"),
        (
            {"rope_parameters": {"rope_type": "longrope"}},
            "has rope_type `longrope`; one of `default`, `linear`, `llama3`, `yarn`",
        ),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 2.0, "mscale": 0.7}}, "has mscale `0.7` of YaRN"),
        (
            {"num_hidden_layers": 1},
            "has a tensor `layers.1.input_layernorm.weight` that a model of the llama kind has no role for",
        ),
        ({"num_key_value_heads": "two"}, "has num_key_value_heads `two`; a whole number of at least 1 was expected"),
        ({"head_dim": 8}, "has shape"),
        ({"rope_parameters": [1]}, "has rope_parameters `.1.`; an object was expected"),
    ],
)
def test_what_is_not_computed_is_refused_by_its_key(changes: dict, said: str, folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=said):
        read_llama_folder(_changed(folders["llama"], tmp_path / "changed", **changes), CONTEXT)


def test_a_sliding_window_within_the_context_is_refused_and_one_that_reaches_over_it_is_taken(folders: dict[str, Path]) -> None:
    with pytest.raises(ConversionError, match=r"pass `--context-length 64`"):
        read_llama_source(folders["mistral"])
    source = read_llama_source(folders["mistral"], context_length=64)
    assert source.context_length == 64


def test_weights_that_were_rounded_are_certified_again_against_their_source(folders: dict[str, Path], tmp_path: Path) -> None:
    graphs = shutil.ignore_patterns("openvino_model.*")
    source, out = Path(shutil.copytree(folders["qwen2"], tmp_path / "qwen2", ignore=graphs)), tmp_path / "models" / "qwen2"
    assert main(["add", str(source), "--weights", "int8", "--out", str(out), UNOPENED]) == 0
    assert main(["certify", str(out), "--source", str(source), "--write", UNOPENED]) == 0
    certificate = json.loads((out / "certificate.json").read_text(encoding="utf-8"))
    assert certificate["rounded_to"] == "int8"
    assert certificate["logits"]["exact_against_reference"]["passed"] is True
    assert certificate["not_compared"] == {}
    assert read_manifest(out)["files"]["certificate"]["sha256"] == sha256(out / "certificate.json")
    assert {path.name for path in out.parent.iterdir()} == {"qwen2"}
