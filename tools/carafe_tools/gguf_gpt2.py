"""Reads a GPT-2 from a GGUF file: dimensions from its metadata, weights from its tensors, which are
(out, in) there.

Goes in: an open file. Comes out: a `Gpt2` whose matrices are read when they are used, and these
matrices.
"""

import re

import numpy as np

from carafe_tools.errors import require
from carafe_tools.gguf_file import GgufFile
from carafe_tools.gpt2 import Dimensions, Gpt2
from carafe_tools.huggingface import HEAD
from carafe_tools.rounding import rounded_matrix
from carafe_tools.stored_weights import Weights
from carafe_tools.weights import assemble

FAMILY = "gpt2"
TABLES = ("wte.weight", "wpe.weight")

# llama.cpp's names of the parts of GPT-2's own names
NAMES = {
    "wte": "token_embd",
    "wpe": "position_embd",
    "ln_f": "output_norm",
    "lm_head": "output",
    "h": "blk",
    "ln_1": "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}
PART = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in sorted(NAMES, key=len, reverse=True)))


def read_gpt2(file: GgufFile, form: str | None) -> tuple[Gpt2, list[Weights]]:
    """Return the model in a file, every tensor of which must have a role, its matrices in the form
    of this name; and these.
    """
    matrices: list[Weights] = []

    def vector(name: str, size: int) -> np.ndarray:
        return file.vector(_name(name), size)

    def matrix(name: str, shape: tuple[int, int]) -> Weights:
        found = file.matrix(_name(name), shape)
        matrices.append(rounded_matrix(found, form, is_table=name in TABLES))
        return matrices[-1]

    epsilon = file.number(f"{FAMILY}.attention.layer_norm_epsilon")
    model = assemble(_dimensions(file), vector, matrix, epsilon, is_tied=not file.has(_name(HEAD)))
    file.check_complete("a GPT-2")
    return model, matrices


def _name(name: str) -> str:
    return PART.sub(lambda match: NAMES[match[0]], name)


def _dimensions(file: GgufFile) -> Dimensions:
    size = Dimensions(
        layers=file.count(f"{FAMILY}.block_count"),
        width=file.count(f"{FAMILY}.embedding_length"),
        heads=file.count(f"{FAMILY}.attention.head_count"),
        positions=file.count(f"{FAMILY}.context_length"),
        vocabulary=len(file.array("tokenizer.ggml.tokens", str)),
    )
    size.check(f"`{file.path}`")
    inner = file.count(f"{FAMILY}.feed_forward_length", 4 * size.width)
    require(inner == 4 * size.width, f"`{file.path}` has an inner width of {inner}; {4 * size.width} was expected")
    return size
