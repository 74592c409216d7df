"""Reads a GPT-2 from a GGUF file: dimensions from its metadata, weights from its tensors, which are (out, in) there.

Goes in: an open file. Comes out: a `Gpt2` whose matrices are read when they are used, and these matrices.
"""

from carafe_tools.errors import require
from carafe_tools.gguf_file import GgufFile
from carafe_tools.gpt2 import Dimensions, Gpt2, Layer, Linear, Norm
from carafe_tools.llama import Weights
from carafe_tools.llama_int8 import rounded

FAMILY = "gpt2"
HEAD = "output.weight"


def read_gpt2(file: GgufFile, in_int8: bool) -> tuple[Gpt2, list[Weights]]:
    """Return the model in a file, every tensor of which must have a role; its matrices in 8 bits if so asked."""
    size = _dimensions(file)
    E, epsilon, matrices = size.width, file.number(f"{FAMILY}.attention.layer_norm_epsilon"), []

    def matrix(name: str, rows: int, columns: int) -> Weights:
        found = file.matrix(name, (rows, columns))
        matrices.append(rounded(found) if in_int8 else found)
        return matrices[-1]

    def norm(name: str) -> Norm:
        return Norm(file.vector(f"{name}.weight", E), file.vector(f"{name}.bias", E), epsilon)

    def linear(name: str, outputs: int, inputs: int) -> Linear:
        return Linear(matrix(f"{name}.weight", outputs, inputs), file.vector(f"{name}.bias", outputs))

    def layer(name: str) -> Layer:
        return Layer(
            norm(f"{name}.attn_norm"),
            linear(f"{name}.attn_qkv", 3 * E, E),
            linear(f"{name}.attn_output", E, E),
            norm(f"{name}.ffn_norm"),
            linear(f"{name}.ffn_up", 4 * E, E),
            linear(f"{name}.ffn_down", E, 4 * E),
        )

    tokens = matrix("token_embd.weight", size.vocabulary, E)
    positions = matrix("position_embd.weight", size.positions, E)
    layers = [layer(f"blk.{index}") for index in range(size.layers)]
    head = matrix(HEAD, size.vocabulary, E) if file.has(HEAD) else tokens
    model = Gpt2(size, tokens, positions, layers, norm("output_norm"), head)
    file.check_complete("a GPT-2")
    return model, matrices


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
