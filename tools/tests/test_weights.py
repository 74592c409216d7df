"""Weights cross over from a Hugging Face folder whole, with the right shapes, or not at all."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from carafe_tools.errors import ConversionError
from carafe_tools.gpt2 import Dimensions
from carafe_tools.safetensors_file import read_header, widened
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
    """Return the tensors of a GPT-2 of one layer under Hugging Face's names, matrices as (in,
    out).
    """
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


# bits of bfloat16 and the numbers that they are: zeros, one, the ends of the range, the smallest
# normal and subnormal
BFLOAT16 = {
    0x0000: 0.0,
    0x8000: -0.0,
    0x3F80: 1.0,
    0xBF81: -1.0078125,
    0x7F7F: 255 * 2.0**120,
    0xFF7F: -255 * 2.0**120,
    0x0080: 2.0**-126,
    0x0001: 2.0**-133,
    0x8001: -(2.0**-133),
}


def bfloat16(values: np.ndarray) -> np.ndarray:
    """Return the upper halves of f32, which are bfloat16, as the bits that a file holds."""
    return (values.view(np.uint32) >> 16).astype(np.uint16)


def write_bfloat16(path: Path, weights: dict[str, np.ndarray]) -> None:
    """Write a file of bfloat16: numpy has no such type, so that the header of u16 is changed to say
    it.
    """
    save_file(weights, path)
    contents = path.read_bytes()
    assert contents.count(b'"U16"') == len(weights)
    length = int.from_bytes(contents[:8], "little")
    header = contents[8 : 8 + length].replace(b'"U16"', b'"BF16"').rstrip()
    header += b" " * (-len(header) % 8)
    path.write_bytes(len(header).to_bytes(8, "little") + header + contents[8 + length :])


def test_bfloat16_is_widened_to_the_very_numbers(tmp_path: Path) -> None:
    bits, numbers = np.array(list(BFLOAT16), np.uint16), np.array(list(BFLOAT16.values()), np.float32)
    write_bfloat16(tmp_path / "some.safetensors", {"some": bits.reshape(3, 3)})
    found = read_header(tmp_path / "some.safetensors")["some"].read()
    np.testing.assert_array_equal(found.view(np.uint32), numbers.view(np.uint32).reshape(3, 3))


@pytest.mark.parametrize(("kind", "width"), [("BF16", np.uint16), ("F16", np.float16)])
def test_every_16_bit_number_is_widened_to_the_very_number(kind: str, width: type) -> None:
    stored = np.arange(1 << 16, dtype=np.uint16)
    found = widened(stored.view(width), kind)
    finite = np.isfinite(found)
    assert finite.sum() == (1 << 16) - (256 if kind == "BF16" else 2048)
    narrow_again = bfloat16(found) if kind == "BF16" else found.astype(np.float16).view(np.uint16)
    np.testing.assert_array_equal(narrow_again[finite], stored[finite])


def test_a_folder_of_bfloat16_is_the_model_of_the_same_numbers_in_f32(tmp_path: Path) -> None:
    bits = {name: bfloat16(values) for name, values in tensors().items()}
    wide = {name: (values.astype(np.uint32) << 16).view(np.float32) for name, values in bits.items()}
    (tmp_path / "wide").mkdir()
    expected = from_folder(folder_of(tmp_path / "wide", wide), per_row=True)
    for tied, more in (
        (True, {"lm_head.weight": bits["wte.weight"]}),
        (False, {"lm_head.weight": bits["wte.weight"][::-1].copy()}),
    ):
        folder = tmp_path / f"tied-{tied}"
        folder.mkdir()
        folder_of(folder, {"x": np.zeros(1, np.float32)}, tie_word_embeddings=tied)
        write_bfloat16(folder / "model.safetensors", bits | more)
        model = from_folder(folder, per_row=True)
        assert model.is_tied == tied
        for found, wanted in (
            (model.token_embedding, expected.token_embedding),
            (model.layers[0].mlp_in.weight, expected.layers[0].mlp_in.weight),
        ):
            np.testing.assert_array_equal(found.values, wanted.values)
            np.testing.assert_array_equal(found.scales, wanted.scales)
        np.testing.assert_array_equal(model.final_norm.beta, wide["ln_f.bias"])
        np.testing.assert_array_equal(model.head.values, model.token_embedding.values[:: 1 if tied else -1])


def test_shards_of_different_types_are_one_model(tmp_path: Path) -> None:
    weights = tensors()
    names = sorted(weights)
    bits = {name: bfloat16(weights[name]) for name in names[:6]}
    whole = {name: (bits[name].astype(np.uint32) << 16).view(np.float32) for name in bits}
    halves = {name: weights[name].astype(np.float16) for name in names[6:10]}
    (tmp_path / "whole").mkdir()
    expected = from_folder(
        folder_of(tmp_path / "whole", weights | whole | {name: half.astype(np.float32) for name, half in halves.items()})
    )
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    write_bfloat16(tmp_path / "a.safetensors", bits)
    save_file(halves, tmp_path / "b.safetensors")
    save_file({name: weights[name] for name in names[10:]}, tmp_path / "c.safetensors")
    places = {name: "a.safetensors" if name in bits else "b.safetensors" if name in halves else "c.safetensors" for name in names}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    found = from_folder(tmp_path)
    np.testing.assert_array_equal(found.token_embedding.values, expected.token_embedding.values)
    np.testing.assert_array_equal(found.layers[0].attention_in.weight.values, expected.layers[0].attention_in.weight.values)
    np.testing.assert_array_equal(found.layers[0].attention_norm.gamma, expected.layers[0].attention_norm.gamma)


@pytest.mark.parametrize("bits", [0x7F80, 0xFF80, 0x7FC0, 0xFFFF])
def test_bfloat16_that_is_not_finite_is_refused_with_the_tensor_s_name(bits: int, tmp_path: Path) -> None:
    weights = {name: bfloat16(values) for name, values in tensors().items()}
    weights["h.0.mlp.c_fc.bias"][7] = bits
    folder_of(tmp_path, {"x": np.zeros(1, np.float32)})
    write_bfloat16(tmp_path / "model.safetensors", weights)
    with pytest.raises(ConversionError, match=r"the tensor `h\.0\.mlp\.c_fc\.bias` .* holds values that are not finite"):
        from_folder(tmp_path)


def test_a_tensor_that_two_shards_have_is_refused(tmp_path: Path) -> None:
    folder_of(tmp_path, {"x": np.zeros(1, np.float32)})
    (tmp_path / "model.safetensors").unlink()
    for shard in ("a.safetensors", "b.safetensors"):
        save_file(tensors(), tmp_path / shard)
    (tmp_path / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}})
    )
    with pytest.raises(ConversionError, match=r"has a tensor `h\.0\.attn\.c_attn\.bias` that an earlier shard has, too"):
        from_folder(tmp_path)


def test_a_missing_tensor_is_refused_by_name(tmp_path: Path) -> None:
    weights = tensors()
    del weights["h.0.ln_2.bias"]
    with pytest.raises(ConversionError, match=r"has no tensor `h\.0\.ln_2\.bias`"):
        from_folder(folder_of(tmp_path, weights))


def test_a_tensor_too_many_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"has a tensor `h\.1\.ln_1\.bias` that a GPT-2 has no role for"):
        from_folder(folder_of(tmp_path, tensors() | {"h.1.ln_1.bias": np.ones(E, np.float32)}))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.ones((E, E + 1), np.float32), r"has shape \[8, 9\]; \[8, 8\] was expected"),
        (np.ones((E, E), np.float64), "has type `F64`; one of `F32`, `F16`, `BF16` was expected"),
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


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda _: b"short", "it has 5 bytes"),
        (lambda _: b"no weights", "its header should have"),
        (lambda contents: contents[:8] + b"{" * (len(contents) - 8), "Expecting property name"),
        (lambda contents: contents[:-1], "bytes are there"),
        (lambda contents: contents.replace(b'"shape":[8]', b'"shape":[9]', 1), r"unlike its shape \[9\]"),
        (lambda contents: contents.replace(b'"shape"', b'"shapE"', 1), "KeyError"),
    ],
)
def test_a_damaged_file_is_refused(damage: Callable[[bytes], bytes], sentence: str, tmp_path: Path) -> None:
    path = folder_of(tmp_path, tensors()) / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ConversionError, match=rf"failed to read .*model\.safetensors`.*: .*{sentence}"):
        from_folder(tmp_path)


def test_random_weights_are_those_of_their_seed() -> None:
    dimensions = Dimensions(1, E, 2, P, V)
    one, same, other = (random(dimensions, seed).token_embedding.values for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
