"""Weights cross over from a Hugging Face folder whole, with the right shapes, or not at all."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from carafe_tools.errors import ConversionError
from carafe_tools.gpt2 import Dimensions
from carafe_tools.weights import from_folder, random

E, P, V = 8, 6, 10
CONFIG = {
    "n_layer": 1,
    "n_embd": E,
    "n_head": 2,
    "n_positions": P,
    "vocab_size": V,
    "layer_norm_epsilon": 1e-5,
    "activation_function": "gelu_new",
}


def tensors() -> dict[str, np.ndarray]:
    """Return the tensors of a GPT-2 of one layer under Hugging Face's names, matrices as (in, out)."""
    shapes = {
        "wte.weight": (V, E),
        "wpe.weight": (P, E),
        "h.0.attn.c_attn.weight": (E, 3 * E),
        "h.0.attn.c_attn.bias": (3 * E,),
        "h.0.attn.c_proj.weight": (E, E),
        "h.0.mlp.c_fc.weight": (E, 4 * E),
        "h.0.mlp.c_fc.bias": (4 * E,),
        "h.0.mlp.c_proj.weight": (4 * E, E),
    }
    vectors = ("h.0.ln_1.weight", "h.0.ln_1.bias", "h.0.attn.c_proj.bias", "h.0.ln_2.weight", "h.0.ln_2.bias")
    shapes |= dict.fromkeys((*vectors, "h.0.mlp.c_proj.bias", "ln_f.weight", "ln_f.bias"), (E,))
    generator = np.random.default_rng(1)
    return {name: generator.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}


def folder_of(path: Path, weights: dict[str, np.ndarray], **config: object) -> Path:
    """Write a folder as Hugging Face does and return it."""
    (path / "config.json").write_text(json.dumps({**CONFIG, **config}))
    save_file(weights, path / "model.safetensors")
    return path


@pytest.mark.parametrize("prefix", ["", "transformer."])
def test_a_folder_is_read_with_and_without_the_usual_prefix(prefix: str, tmp_path: Path) -> None:
    weights = tensors()
    model = from_folder(folder_of(tmp_path, {prefix + name: values for name, values in weights.items()}))
    assert model.dimensions == Dimensions(layers=1, width=E, heads=2, positions=P, vocabulary=V)
    step = model.layers[0].mlp_in.weight.scales[0]
    real = model.layers[0].mlp_in.weight.dequantised()
    np.testing.assert_allclose(real, weights["h.0.mlp.c_fc.weight"].T, atol=step * 0.51)
    np.testing.assert_array_equal(model.final_norm.beta, weights["ln_f.bias"])


def test_the_causal_mask_and_the_same_head_again_are_ignored(tmp_path: Path) -> None:
    weights = tensors()
    more = {"h.0.attn.bias": np.ones((1, 1, P, P), np.float32), "lm_head.weight": weights["wte.weight"]}
    assert from_folder(folder_of(tmp_path, weights | more)).is_tied


def test_a_head_that_contradicts_the_configuration_is_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, tensors() | {"lm_head.weight": np.ones((V, E), np.float32)})
    with pytest.raises(ConversionError, match=r"`lm_head\.weight` differs from `wte\.weight`"):
        from_folder(folder)


def test_an_untied_head_is_read(tmp_path: Path) -> None:
    head = np.linspace(-1, 1, V * E, dtype=np.float32).reshape(V, E)
    model = from_folder(folder_of(tmp_path, tensors() | {"lm_head.weight": head}, tie_word_embeddings=False), per_row=True)
    assert not model.is_tied
    np.testing.assert_allclose(model.head.dequantised(), head, atol=0.004)


def test_shards_are_one_model(tmp_path: Path) -> None:
    weights = tensors()
    whole = from_folder(folder_of(tmp_path, weights))
    (tmp_path / "model.safetensors").unlink()
    names = sorted(weights)
    shards = {"model-00001-of-00002.safetensors": names[:5], "model-00002-of-00002.safetensors": names[5:]}
    for shard, held in shards.items():
        save_file({name: weights[name] for name in held}, tmp_path / shard)
    places = {name: shard for shard, held in shards.items() for name in held}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    np.testing.assert_array_equal(from_folder(tmp_path).layers[0].mlp_in.weight.values, whole.layers[0].mlp_in.weight.values)


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "missing.safetensors"])
def test_an_index_that_names_what_is_not_in_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    folder_of(tmp_path, tensors())
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"wte.weight": name}}))
    with pytest.raises(ConversionError, match=r"`.*index\.json` names a file "):
        from_folder(tmp_path)


def test_half_precision_is_widened_without_loss(tmp_path: Path) -> None:
    narrow = {name: values.astype(np.float16) for name, values in tensors().items()}
    model = from_folder(folder_of(tmp_path, narrow))
    np.testing.assert_array_equal(model.final_norm.beta, narrow["ln_f.bias"].astype(np.float32))


def test_a_missing_tensor_is_refused_by_name(tmp_path: Path) -> None:
    weights = tensors()
    del weights["h.0.ln_2.bias"]
    with pytest.raises(ConversionError, match=r"has no tensor `h\.0\.ln_2\.bias`"):
        from_folder(folder_of(tmp_path, weights))


def test_a_tensor_too_many_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"has a tensor `h\.1\.ln_1\.bias` that a GPT-2 has no place for"):
        from_folder(folder_of(tmp_path, tensors() | {"h.1.ln_1.bias": np.ones(E, np.float32)}))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.ones((E, E + 1), np.float32), r"has shape \[8, 9\]; \[8, 8\] was expected"),
        (np.ones((E, E), np.float64), "has type `float64`; `float32` or `float16` was expected"),
        (np.full((E, E), np.nan, np.float32), "holds values that are not finite"),
    ],
)
def test_a_wrong_tensor_is_refused(values: np.ndarray, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=sentence):
        from_folder(folder_of(tmp_path, tensors() | {"h.0.attn.c_proj.weight": values}))


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"activation_function": "relu"}, "has activation_function `relu`; `gelu_new` or `gelu_pytorch_tanh` was expected"),
        ({"n_head": 3}, "has width `8`, which its 3 heads do not divide"),
        ({"n_inner": 12}, "has n_inner `12`; 32 was expected"),
        ({"scale_attn_by_inverse_layer_idx": True}, "has scale_attn_by_inverse_layer_idx `True`; `False` was expected"),
        ({"n_layer": 0}, "has layers `0`; at least 1 is needed"),
    ],
)
def test_a_configuration_that_is_no_gpt2_is_refused(config: dict, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=sentence):
        from_folder(folder_of(tmp_path, tensors(), **config))


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, tensors())
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ConversionError, match=r"failed to read `.*model\.safetensors`"):
        from_folder(folder)


def test_random_weights_are_those_of_their_seed() -> None:
    dimensions = Dimensions(1, E, 2, P, V)
    one, same, other = (random(dimensions, seed).token_embedding.values for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
