"""Writes llama.cpp's file of a model's weights: the same numbers, in blocks of 32 with a scale each (Q8_0).

Goes in: the `Gpt2` of `carafe_tools` and its `tokenizer.json`. Comes out: a GGUF file of the architecture `gpt2`. Matrices are
dequantised and rounded to 8 bits again in llama.cpp's own way, which is as many bits a weight and half a bit for the scale.
"""

import json
from pathlib import Path

import gguf
import numpy as np

from carafe_tools.gpt2 import Gpt2, Layer, Matrix, Norm

NORMAL, CONTROL, UNUSED = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL, gguf.TokenType.UNUSED


def write_gguf(model: Gpt2, tokenizer_json: Path, out: Path) -> None:
    """Write the file, unless it is there."""
    if out.exists():
        return
    building = out.with_suffix(".building")
    writer = gguf.GGUFWriter(building, "gpt2")
    _write_sizes(writer, model)
    write_tokenizer(writer, tokenizer_json)
    _write_weights(writer, model)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    building.rename(out)


def _write_sizes(writer: gguf.GGUFWriter, model: Gpt2) -> None:
    size = model.dimensions
    writer.add_name(f"GPT-2, {size.layers} layers of width {size.width}")
    writer.add_context_length(size.positions)
    writer.add_embedding_length(size.width)
    writer.add_block_count(size.layers)
    writer.add_feed_forward_length(4 * size.width)
    writer.add_head_count(size.heads)
    writer.add_layer_norm_eps(model.final_norm.epsilon)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)


def write_tokenizer(writer: gguf.GGUFWriter, tokenizer_json: Path, vocabulary: int = 0) -> None:
    """Write GPT-2's kind of byte-level BPE; a larger vocabulary is filled up with unused tokens, as real models' are."""
    file = json.loads(tokenizer_json.read_text(encoding="utf-8"))
    special = {entry["content"]: entry["id"] for entry in file["added_tokens"]}
    tokens = sorted({**file["model"]["vocab"], **special}.items(), key=lambda pair: pair[1])
    texts = [text for text, _ in tokens]
    texts += [f"[unused{number}]" for number in range(len(texts), vocabulary)]
    types = [CONTROL if text in special else UNUSED if number >= len(tokens) else NORMAL for number, text in enumerate(texts)]
    end = max(special.values())
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in file["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(texts)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)
    writer.add_add_bos_token(False)


def _write_weights(writer: gguf.GGUFWriter, model: Gpt2) -> None:
    _add_matrix(writer, "token_embd.weight", model.token_embedding)
    # llama.cpp adds rows of it as they are, in f32
    writer.add_tensor("position_embd.weight", model.position_embedding.dequantised())
    for index, layer in enumerate(model.layers):
        _add_layer(writer, f"blk.{index}", layer)
    _add_norm(writer, "output_norm", model.final_norm)
    if not model.is_tied:
        _add_matrix(writer, "output.weight", model.head)


def _add_layer(writer: gguf.GGUFWriter, name: str, layer: Layer) -> None:
    _add_norm(writer, f"{name}.attn_norm", layer.attention_norm)
    _add_norm(writer, f"{name}.ffn_norm", layer.mlp_norm)
    linears = {
        "attn_qkv": layer.attention_in,
        "attn_output": layer.attention_out,
        "ffn_up": layer.mlp_in,
        "ffn_down": layer.mlp_out,
    }
    for part, linear in linears.items():
        _add_matrix(writer, f"{name}.{part}.weight", linear.weight)
        writer.add_tensor(f"{name}.{part}.bias", linear.bias.astype(np.float32))


def _add_norm(writer: gguf.GGUFWriter, name: str, norm: Norm) -> None:
    writer.add_tensor(f"{name}.weight", norm.gamma.astype(np.float32))
    writer.add_tensor(f"{name}.bias", norm.beta.astype(np.float32))


def _add_matrix(writer: gguf.GGUFWriter, name: str, matrix: Matrix) -> None:
    blocks = gguf.quantize(matrix.dequantised(), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor(name, blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
