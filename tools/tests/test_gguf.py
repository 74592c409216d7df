"""A GGUF file becomes the graph of the model that it holds, and its metadata become tokenizer and
settings.

The files are written here; what they hold is said by a stand-in for the program, so that these
tests need no build of it. That the program says so of a real file is shown by `test_smollm2`, and
by the tests of crates/carafe-gguf.
"""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from carafe_tools.environment import compile_model
from carafe_tools.errors import ConversionError
from carafe_tools.gguf_file import GgufFile
from carafe_tools.gguf_gpt2 import read_gpt2
from carafe_tools.gguf_llama import halves_of_interleaved, read_llama
from carafe_tools.gguf_source import read_gguf
from carafe_tools.gguf_tokenizer import UNDERSCORE, GgufTokenizer
from carafe_tools.gpt2 import Dimensions
from carafe_tools.llama import Llama
from carafe_tools.llama_graph import build_llama_graph
from carafe_tools.llama_reference import llama_logits
from carafe_tools.reference import reference_logits
from carafe_tools.rounding import INTEGER_ZERO_POINTS, rounded
from carafe_tools.text_context import compile_paged, logits_in_steps, stateful_logits
from carafe_tools.text_graph import build_text_graph
from carafe_tools.weights import random

E, F, H, K, D, V, L, CONTEXT = 64, 96, 4, 2, 16, 40, 2, 9000
CLOSE = 1e-4
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


class Inspector:
    """Says what a file holds, as `carafe models inspect --json` does."""

    path = Path("carafe")

    def __init__(self, metadata: dict[str, Any], tensors: list[dict[str, Any]]) -> None:
        self._said = json.dumps({"metadata": metadata, "tensors": tensors})

    def inspect(self, gguf: Path) -> str:
        return self._said


def q8_0(values: np.ndarray) -> bytes:
    """Quantise to blocks of 32 as llama.cpp does."""
    blocks = values.reshape(-1, 32)
    scales = (np.abs(blocks).max(1, keepdims=True) / 127).astype("<f2")
    integers = np.round(blocks / scales.astype(np.float32)).clip(-127, 127).astype(np.int8)
    return np.concatenate([scales.view(np.uint8), integers.view(np.uint8)], axis=1).tobytes()


def q4_1(values: np.ndarray) -> bytes:
    """Quantise to blocks of 32 as llama.cpp does."""
    blocks = values.reshape(-1, 32)
    least = blocks.min(1, keepdims=True).astype("<f2")
    scales = (np.ptp(blocks, axis=1, keepdims=True) / 15).astype("<f2")
    integers = np.round((blocks - least.astype(np.float32)) / scales.astype(np.float32)).clip(0, 15).astype(np.uint8)
    packed = integers[:, :16] | (integers[:, 16:] << 4)
    return np.concatenate([scales.view(np.uint8), least.view(np.uint8), packed], axis=1).tobytes()


BLOCKS = {"Q8_0": q8_0, "Q4_1": q4_1, "F32": lambda values: values.astype("<f4").tobytes()}


def write(
    path: Path, metadata: dict[str, Any], tensors: dict[str, np.ndarray], blocks: Callable[[str], str] = lambda _: "F32"
) -> GgufFile:
    """Write tensors' bytes into a file, matrices in the blocks that their names get, and open
    it.
    """
    entries, data = [], b""
    for name, values in tensors.items():
        kind = blocks(name) if values.ndim == 2 else "F32"
        raw = BLOCKS[kind](values)
        entries.append({"name": name, "dims": list(values.shape[::-1]), "type": kind, "start": len(data), "size": len(raw)})
        data += raw
    path.write_bytes(data)
    return GgufFile(path, Inspector(metadata, entries))


def metadata(family: str, **more: Any) -> dict[str, Any]:
    """The metadata of a tiny model with a byte-level vocabulary."""
    own = {
        "embedding_length": E,
        "feed_forward_length": F,
        "attention.head_count": H,
        "attention.head_count_kv": K,
        "attention.key_length": D,
        "block_count": L,
        "context_length": CONTEXT,
        "attention.layer_norm_rms_epsilon": 1e-5,
    }
    tokens = ["<s>", "</s>", *map(chr, range(97, 97 + V - 3)), "ab"]
    vocabulary = {"model": "gpt2", "pre": "gpt-2", "tokens": tokens, "token_type": [3, 3] + [1] * (V - 2), "merges": ["a b"]}
    vocabulary |= {"bos_token_id": 0, "eos_token_id": 1}
    keys = {f"{family}.{name}": value for name, value in own.items()}
    return {
        "general.architecture": family,
        **keys,
        **{f"tokenizer.ggml.{key}": value for key, value in vocabulary.items()},
        **more,
    }


def tensors(seed: int = 3) -> dict[str, np.ndarray]:
    """Random tensors of a tiny model, queries and keys in the order of halves."""
    generator = np.random.default_rng(seed)

    def matrix(*shape: int) -> np.ndarray:
        return generator.standard_normal(shape, np.float32) * np.float32(0.15)

    def gamma() -> np.ndarray:
        return matrix(E) + 1

    found = {"token_embd.weight": matrix(V, E), "output_norm.weight": gamma()}
    for index in range(L):
        layer = {
            "attn_norm": gamma(),
            "attn_q": matrix(H * D, E),
            "attn_k": matrix(K * D, E),
            "attn_v": matrix(K * D, E),
            "attn_output": matrix(E, H * D),
            "ffn_norm": gamma(),
            "ffn_gate": matrix(F, E),
            "ffn_up": matrix(F, E),
            "ffn_down": matrix(E, F),
        }
        found |= {f"blk.{index}.{name}.weight": values for name, values in layer.items()}
    return found


def interleaved(values: np.ndarray, heads: int) -> np.ndarray:
    """Order rows as llama.cpp's conversion of llama's family does."""
    return values.reshape(heads, 2, -1, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def stored(values: dict[str, np.ndarray], family: str) -> dict[str, np.ndarray]:
    """The tensors as a file of a family has them."""
    heads = {"attn_q": H, "attn_k": K} if family == "llama" else {}
    return {name: interleaved(v, heads[name.split(".")[2]]) if name.split(".")[-2] in heads else v for name, v in values.items()}


def logits(model: Llama, tokens: np.ndarray) -> np.ndarray:
    return stateful_logits(compile_model(build_llama_graph(model), "exact"), tokens)


TOKENS = np.random.default_rng(4).integers(0, V, 30, np.int32)


def test_rows_that_are_interleaved_are_put_back() -> None:
    rows = np.arange(H * D)
    np.testing.assert_array_equal(interleaved(rows, H)[halves_of_interleaved(H * D, H)], rows)


@pytest.mark.openvino
@pytest.mark.parametrize("kind", ["F32", "Q8_0", "Q4_1"])
def test_llamas_interleaved_rows_and_qwens_plain_ones_give_one_model(kind: str, tmp_path: Path) -> None:
    values, families = tensors(), ("llama", "qwen2")
    files = [write(tmp_path / f"{name}.gguf", metadata(name), stored(values, name), lambda _: kind) for name in families]
    models = [read_llama(file) for file in files]
    expected = [llama_logits(model, TOKENS) for model in models]
    np.testing.assert_array_equal(expected[0], expected[1])
    assert np.abs(expected[0]).max() > 1
    np.testing.assert_allclose(logits(models[0], TOKENS), expected[0], atol=CLOSE)


@pytest.mark.openvino
def test_zero_points_become_integers_beside_matrices_of_other_blocks(tmp_path: Path) -> None:
    def kind(name: str) -> str:
        return "Q8_0" if "attn_v" in name or "token_embd" in name else "Q4_1"

    model = read_llama(write(tmp_path / "mixed.gguf", metadata("qwen2"), tensors(), kind))
    changed = rounded(model, INTEGER_ZERO_POINTS)
    expected, as_stored = llama_logits(changed, TOKENS), llama_logits(model, TOKENS)
    assert 0 < np.abs(expected - as_stored).max() < 0.02 * as_stored.std()
    for one, own in ((model, as_stored), (changed, expected)):
        np.testing.assert_allclose(logits(one, TOKENS), own, atol=CLOSE)


@pytest.mark.openvino
def test_norms_of_queries_and_biases_and_a_head_of_its_own_are_found_by_being_there(tmp_path: Path) -> None:
    values, generator = tensors(), np.random.default_rng(8)
    plain = llama_logits(read_llama(write(tmp_path / "plain.gguf", metadata("qwen3"), values)), TOKENS)
    values["output.weight"] = generator.standard_normal((V, E), np.float32)
    for index in range(L):
        values |= {f"blk.{index}.attn_{part}_norm.weight": generator.random(D, np.float32) + 1 for part in "qk"}
        rows = {"q": H * D, "k": K * D, "v": K * D}
        values |= {f"blk.{index}.attn_{part}.bias": generator.random(size, np.float32) for part, size in rows.items()}
    model = read_llama(write(tmp_path / "more.gguf", metadata("qwen3"), values))
    assert not model.is_tied
    expected = llama_logits(model, TOKENS)
    assert np.abs(expected - plain).max() > 0.1
    found = logits_in_steps(compile_paged(build_llama_graph(model), "exact"), TOKENS, (7, 8, 20))
    np.testing.assert_allclose(found, expected, atol=CLOSE)


@pytest.mark.openvino
def test_late_positions_turn_as_far_as_in_float64(tmp_path: Path) -> None:
    model = read_llama(write(tmp_path / "late.gguf", metadata("qwen2"), tensors()))
    first = 8192 - len(TOKENS)
    compiled = compile_model(build_llama_graph(model), "exact")
    found = compiled.create_infer_request().infer(
        {
            "input_ids": TOKENS[None],
            "position_ids": np.arange(first, 8192, dtype=np.int32)[None],
            "attention_mask": np.ones((1, len(TOKENS)), np.int32),
            "beam_idx": np.zeros(1, np.int32),
            "logit_idx": np.arange(len(TOKENS), dtype=np.int32),
        }
    )["logits"]
    # only differences of positions matter, so these are the logits of the first positions
    np.testing.assert_allclose(found, llama_logits(model, TOKENS), atol=CLOSE)


@pytest.mark.openvino
def test_a_gpt2_has_the_logits_of_the_model_whose_tensors_were_written(tmp_path: Path) -> None:
    model = random(Dimensions(layers=2, width=64, heads=4, positions=32, vocabulary=V))
    names = {"attention_norm": "attn_norm", "mlp_norm": "ffn_norm"}
    linears = {"attention_in": "attn_qkv", "attention_out": "attn_output", "mlp_in": "ffn_up", "mlp_out": "ffn_down"}
    values = {
        "token_embd.weight": model.token_embedding.dequantised(),
        "position_embd.weight": model.position_embedding.dequantised(),
    }
    norms = {"output_norm": model.final_norm}
    for index, layer in enumerate(model.layers):
        norms |= {f"blk.{index}.{name}": getattr(layer, role) for role, name in names.items()}
        for role, name in linears.items():
            values[f"blk.{index}.{name}.weight"] = getattr(layer, role).weight.dequantised()
            values[f"blk.{index}.{name}.bias"] = getattr(layer, role).bias
    for name, norm in norms.items():
        values |= {f"{name}.weight": norm.gamma, f"{name}.bias": norm.beta}
    sizes = {"block_count": 2, "embedding_length": 64, "attention.head_count": 4, "context_length": 32}
    said = (
        metadata("gpt2") | {f"gpt2.{name}": value for name, value in sizes.items()} | {"gpt2.attention.layer_norm_epsilon": 1e-5}
    )
    found, matrices = read_gpt2(write(tmp_path / "gpt2.gguf", {**said, "gpt2.feed_forward_length": 256}, values), None)
    assert found.is_tied
    assert len(matrices) == 10
    expected = reference_logits(model, TOKENS)
    np.testing.assert_allclose(stateful_logits(compile_model(build_text_graph(found), "exact"), TOKENS), expected, atol=CLOSE)
    np.testing.assert_allclose(reference_logits(found, TOKENS), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"llama.expert_count": 8}, "has llama.expert_count `8`; only `0` can be computed"),
        ({"llama.rope.scaling.type": "longrope", "llama.rope.scaling.factor": 2.0}, "`none`, `linear` or `yarn` was expected"),
        ({"llama.attention.sliding_window": 128}, "pass `--context-length 128`"),
        ({"llama.block_count": 1}, "has a tensor `blk.1.attn_k.weight` that a model of the family `llama` has no role for"),
        ({"llama.block_count": -1}, "has llama.block_count `-1`; a whole number was expected"),
        ({"llama.attention.head_count": 0}, "at least 1 is needed"),
        ({"llama.attention.layer_norm_rms_epsilon": "small"}, "a number was expected"),
        ({"llama.feed_forward_length": 64}, "was expected"),
        ({"general.architecture": "mamba"}, "holds a model of the family `mamba`; one of `llama`"),
        ({"tokenizer.ggml.pre": "unheard-of"}, "cuts text by `unheard-of`"),
        ({"tokenizer.ggml.model": "t5"}, "`gpt2` or `llama` was expected"),
        ({"tokenizer.ggml.merges": ["a zz"]}, "has a merge `a zz`"),
        ({"tokenizer.ggml.eos_token_id": 40}, "the tokens have ids from 0 to 39"),
    ],
)
def test_what_a_file_says_that_cannot_be_computed_is_refused_by_its_key(change: dict, said: str, tmp_path: Path) -> None:
    file = write(tmp_path / "odd.gguf", metadata("llama", **change), stored(tensors(), "llama"))
    inspector = type("", (), {"path": Path("carafe"), "inspect": lambda self, path: json.dumps(said_by(file))})()
    with pytest.raises(ConversionError, match=said):
        read_gguf(file.path, inspector)


def said_by(file: GgufFile) -> dict[str, Any]:
    return {"metadata": file.metadata, "tensors": list(file._tensors.values())}


def tokenizer(**entries: Any) -> GgufTokenizer:
    """A tokenizer of metadata."""
    values = {f"tokenizer.ggml.{name}": value for name, value in entries.items()}
    return GgufTokenizer(GgufFile(Path("some.gguf"), Inspector(values, [])))


def sentence_piece(text: str, pieces: dict[str, float]) -> list[str]:
    """SentencePiece's BPE by its definition: join the two neighbours of the highest joint score,
    the leftmost of equals.
    """
    parts = list(text)
    while True:
        joint = [(pieces[a + b], -i) for i, (a, b) in enumerate(pairwise(parts)) if a + b in pieces]
        if not joint:
            return parts
        place = -max(joint)[1]
        parts[place : place + 2] = [parts[place] + parts[place + 1]]


def test_scores_become_merges_that_join_as_sentencepiece_does() -> None:
    generator = np.random.default_rng(6)
    letters = [UNDERSCORE, *"abcde"]
    longer = {"".join(generator.choice(letters, generator.integers(2, 5))) for _ in range(120)}
    pieces = [*letters, *sorted(longer)]
    order = generator.permutation(len(longer))
    scores = [-1000.0] * len(letters) + [-float(place) for place in order]
    types = [2, 3, 3] + [6] * 256 + [1] * len(pieces)
    found = tokenizer(
        model="llama",
        tokens=["<unk>", "<s>", "</s>", *BYTES, *pieces],
        scores=[0.0] * 259 + scores,
        token_type=types,
        bos_token_id=1,
        eos_token_id=2,
        unknown_token_id=0,
    )
    reader = Tokenizer.from_str(found.tokenizer_json())
    of_pieces = dict(zip(pieces, scores, strict=True))
    for _ in range(200):
        text = "".join(generator.choice([" ", *"abcde"], 12))
        expected = sentence_piece(UNDERSCORE + text.replace(" ", UNDERSCORE), of_pieces)
        assert reader.encode(text).tokens == ["<s>", *expected]
        assert reader.decode(reader.encode(text).ids) == text
    assert reader.encode("aß").tokens[-2:] == ["<0xC3>", "<0x9F>"]
    assert reader.encode("</s>", add_special_tokens=False).ids == [2]
    assert found.special_tokens() == {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


def test_control_tokens_are_special_and_user_defined_ones_are_not() -> None:
    entries = metadata("qwen2")
    kept = {key.removeprefix("tokenizer.ggml."): value for key, value in entries.items() if key.startswith("tokenizer.")}
    found = tokenizer(**{**kept, "token_type": [3, 4] + [1] * (V - 2), "eot_token_id": 5, "add_bos_token": True})
    added = {entry["content"]: entry["special"] for entry in json.loads(found.tokenizer_json())["added_tokens"]}
    assert added == {"<s>": True, "</s>": False}
    assert found.eos_token_ids() == [1, 5]
    reader = Tokenizer.from_str(found.tokenizer_json())
    assert reader.encode("abc").tokens == ["<s>", "ab", "c"]
    assert reader.encode("abc", add_special_tokens=False).tokens == ["ab", "c"]
