"""`probe`: what a text .tflite holds, and what it says, in its own runtime.

Goes in: a .tflite, and for a sample its tokenizer and a prompt. Comes out: on stdout a line for
each input, output and constant, sums by type, the memory that LiteRT took, and the text that
follows the prompt.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from carafe_tools.environment import peak_memory_bytes
from carafe_tools.errors import require
from carafe_tools.litert import LiteRt
from carafe_tools.tflite_file import Tensor, TfliteFile, read_tflite
from carafe_tools.tokenizer_files import eos_token, load

SAMPLE_TOKENS = 24


def probe(path: Path, tokenizer_path: Path | None, prompt: str) -> dict[str, Any]:
    """Print what a .tflite holds and what it says; return the sums."""
    file = read_tflite(path)
    is_text = len(file.inputs) == 1 and file.tensors[file.inputs[0]].type == "INT32"
    require(is_text, f"`{path}` does not take one INT32 tensor of token ids; `probe` runs text models alone")
    for index in file.inputs:
        print(f"input     {_line(file.tensors[index])}")
    for index in file.outputs:
        print(f"output    {_line(file.tensors[index])}")
    for tensor in file.tensors:
        if tensor.data is not None:
            print(f"constant  {_line(tensor)}")
    before = peak_memory_bytes()
    litert = LiteRt(path)
    litert.logits(np.zeros(litert.sequence, np.int32))
    result = {
        "source": path.name,
        "bytes": path.stat().st_size,
        "operations": dict(sorted(Counter(operation.code for operation in file.operations).items())),
        "constant_bytes": _constant_bytes(file),
        "litert_memory_bytes": peak_memory_bytes() - before,
    }
    return result if tokenizer_path is None else {**result, **_sample(litert, tokenizer_path, prompt)}


def _line(tensor: Tensor) -> str:
    quantised = ""
    if tensor.scales.size:
        scale = f"{tensor.scales[0]:.6g}" if tensor.scales.size == 1 else f"{tensor.scales.size} channels"
        quantised = f"  scale {scale}  zero point {tensor.zero_point}"
    return f"{tensor.type:8} {list(tensor.shape)!s:22} {tensor.name}{quantised}"


def _constant_bytes(file: TfliteFile) -> dict[str, int]:
    """Return the bytes of constants by type; tensors that share a buffer count once."""
    sums: Counter[str] = Counter()
    buffers: set[int] = set()
    for tensor in file.tensors:
        if tensor.data is not None and tensor.buffer not in buffers:
            buffers.add(tensor.buffer)
            sums[tensor.type] += tensor.data.nbytes
    return dict(sorted(sums.items()))


def _sample(litert: LiteRt, tokenizer_path: Path, prompt: str) -> dict[str, Any]:
    tokenizer = load(tokenizer_path)
    tokens = tokenizer.encode(prompt).ids
    require(
        0 < len(tokens) < litert.sequence,
        f"the prompt has {len(tokens)} tokens; 1 to {litert.sequence - 1} fit the file's {litert.sequence}",
    )
    text = tokenizer.decode(litert.greedy(tokens, SAMPLE_TOKENS, eos_token(tokenizer)))
    print(f"prompt    {prompt}\ntext      {text}")
    return {"prompt": prompt, "text": text}
