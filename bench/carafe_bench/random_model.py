"""Writes random 4-bit weights in the shape of a real model, as a GGUF file that `carafe models add` takes.

Goes in: the name of a shape, and a byte-level `tokenizer.json`. Comes out: a file of the family `qwen3` whose matrices are Q4_0,
blocks of 32 with a scale each. Memory and the time of a step are those of the real weights; the text is noise. One tensor is made
at a time, so that memory holds the largest of them and no more.

    PYTHONPATH=bench:tools target/bench/venv/bin/python -m carafe_bench.random_model --shape 4b --out target/shapes/qwen3-4b.gguf
"""

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import gguf
import numpy as np

from carafe_bench.gguf_file import write_tokenizer

FAMILY = "qwen3"
TOKENIZER = Path("fixtures/gpt2-tokenizer/tokenizer.json")
Q4_0 = gguf.GGMLQuantizationType.Q4_0
GROUP, BLOCK_BYTES = 32, 18  # weights of a block; f16 scale and 16 bytes
HEAD_WIDTH, CONTEXT = 128, 40_960
LOGIT_DEVIATION = 2.5  # of a product with the token table, whose input has a mean square of 1


@dataclass(frozen=True)
class Shape:
    """What the models of the family differ in."""

    width: int
    layers: int
    heads: int
    kv_heads: int
    inner: int
    is_tied: bool = True
    vocabulary: int = 151_936

    def matrices(self) -> Iterator[tuple[str, int, int]]:
        """Yield name, outputs and inputs of each matrix."""
        queries, keys = self.heads * HEAD_WIDTH, self.kv_heads * HEAD_WIDTH
        yield "token_embd", self.vocabulary, self.width
        if not self.is_tied:
            yield "output", self.vocabulary, self.width
        for layer in range(self.layers):
            yield f"blk.{layer}.attn_q", queries, self.width
            yield f"blk.{layer}.attn_k", keys, self.width
            yield f"blk.{layer}.attn_v", keys, self.width
            yield f"blk.{layer}.attn_output", self.width, queries
            yield f"blk.{layer}.ffn_gate", self.inner, self.width
            yield f"blk.{layer}.ffn_up", self.inner, self.width
            yield f"blk.{layer}.ffn_down", self.width, self.inner

    def norms(self) -> Iterator[tuple[str, int]]:
        """Yield name and size of each norm's factors."""
        yield "output_norm", self.width
        for layer in range(self.layers):
            yield f"blk.{layer}.attn_norm", self.width
            yield f"blk.{layer}.attn_q_norm", HEAD_WIDTH
            yield f"blk.{layer}.attn_k_norm", HEAD_WIDTH
            yield f"blk.{layer}.ffn_norm", self.width


SHAPES = {
    "0.6b": Shape(width=1024, layers=28, heads=16, kv_heads=8, inner=3072),
    "1.7b": Shape(width=2048, layers=28, heads=16, kv_heads=8, inner=6144),
    "4b": Shape(width=2560, layers=36, heads=32, kv_heads=8, inner=9728),
    "8b": Shape(width=4096, layers=36, heads=32, kv_heads=8, inner=12_288, is_tied=False),
}


def write_random_model(shape: Shape, tokenizer_json: Path, seed: int, out: Path) -> None:
    """Write the file, whole or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    building = out.with_suffix(".building")
    writer = gguf.GGUFWriter(building, FAMILY)
    _write_sizes(writer, shape)
    write_tokenizer(writer, tokenizer_json, shape.vocabulary)
    for name, size in shape.norms():
        writer.add_tensor_info(f"{name}.weight", (size,), np.dtype(np.float32), 4 * size)
    for name, rows, columns in shape.matrices():
        size = rows * columns // GROUP * BLOCK_BYTES
        writer.add_tensor_info(f"{name}.weight", (rows, columns), np.dtype(np.float32), size, Q4_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    generator = np.random.default_rng(seed)
    for _, size in shape.norms():
        writer.write_tensor_data(generator.uniform(0.5, 1.5, size).astype(np.float32))
    for _, rows, columns in shape.matrices():
        writer.write_tensor_data(_blocks(generator, rows, columns))
    writer.close()
    building.rename(out)


def _write_sizes(writer: gguf.GGUFWriter, shape: Shape) -> None:
    writer.add_name(f"random weights, {shape.layers} layers of width {shape.width}")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(HEAD_WIDTH)
    writer.add_value_length(HEAD_WIDTH)
    writer.add_rope_freq_base(1_000_000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)


def _blocks(generator: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Return a matrix's blocks: integers of -7 to 7, which have the mean 0, and scales of a random size.

    A product with an input of mean square 1 has a standard deviation near `LOGIT_DEVIATION`, so activations stay finite through
    any number of layers, each of which begins with a norm.
    """
    count = rows * columns // GROUP
    blocks = np.empty((count, BLOCK_BYTES), np.uint8)
    deviation_of_integers = math.sqrt(56 / 3)
    scale = LOGIT_DEVIATION / math.sqrt(columns) / deviation_of_integers
    scales = generator.uniform(0.5 * scale, 1.5 * scale, count).astype("<f2")
    blocks[:, :2] = scales.view(np.uint8).reshape(count, 2)
    low, high = (generator.integers(1, 16, (count, 16), np.uint8) for _ in range(2))  # stored with 8 added
    blocks[:, 2:] = low | (high << 4)
    return blocks.reshape(rows, -1)


def main() -> None:
    """Write the shape that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, required=True, help=", ".join(SHAPES))
    parser.add_argument(
        "--tokenizer", type=Path, default=TOKENIZER, help="a byte-level tokenizer.json that cuts text as GPT-2 does"
    )
    parser.add_argument("--vocabulary", type=int, help="tokens, at least the tokenizer's; the shape's own unless given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.gguf")
    arguments = parser.parse_args()
    shape = SHAPES[arguments.shape]
    shape = replace(shape, vocabulary=arguments.vocabulary or shape.vocabulary)
    write_random_model(shape, arguments.tokenizer, arguments.seed, arguments.out)
    print(f"`{arguments.out}`: {arguments.out.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
