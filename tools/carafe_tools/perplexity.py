"""`perplexity`: how well a model folder predicts a text.

Goes in: a model folder and a UTF-8 text. Comes out: e to the mean negative log likelihood of its
tokens. The protocol is that of the published figure for GPT-2 small (29.94 on WikiText-2's test
set, rows joined by two newlines): the text is encoded in one piece and cut into windows as long as
the context, side by side, each scored from its second token on, the last one as long as it is.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from carafe_tools.certificate import load_graph
from carafe_tools.errors import ConversionError, require
from carafe_tools.manifest import read_manifest
from carafe_tools.progress import Progress
from carafe_tools.text_context import PagedContext, compile_paged
from carafe_tools.text_run import TASK
from carafe_tools.tokenizer_files import load

CHUNK = 128  # tokens of a step


def perplexity(folder: Path, text: Path, profile: str, window: int | None, limit: int | None) -> dict[str, Any]:
    """Return perplexity and loss of a model on a text, over at most `limit` tokens of it."""
    manifest = read_manifest(folder)
    require(manifest.get("task") == TASK, f"`{folder}` has task `{manifest.get('task')}`; perplexity is measured of `{TASK}`")
    context = manifest["text"]["context_length"]
    size = window or context
    require(2 <= size <= context, f"a window of {size} tokens was asked for; 2 to {context}, the model's context, are possible")
    tokens = _tokens(folder, text)[:limit]
    require(len(tokens) >= 2, f"`{text}` has {len(tokens)} tokens; at least 2 are needed")
    windows = [part for part in np.split(tokens, range(size, len(tokens), size)) if len(part) > 1]
    progress = Progress(len(windows))
    compiled = compile_paged(load_graph(folder), profile)
    total = 0.0
    for number, part in enumerate(windows, 1):
        progress.step(f"window {number}")
        total += _negative_log_likelihood(PagedContext(compiled, 1, size), part)
    scored = sum(len(part) - 1 for part in windows)
    loss = total / scored
    return {
        "model": manifest["name"],
        "profile": profile,
        "tokens": len(tokens),
        "scored": scored,
        "window": size,
        "loss": round(loss, 4),
        "perplexity": round(math.exp(loss), 3),
    }


def _tokens(folder: Path, text: Path) -> np.ndarray:
    try:
        contents = text.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConversionError(f"`{text}` is not UTF-8: {error}") from error
    return np.array(load(folder / "tokenizer.json").encode(contents).ids, np.int32)


def _negative_log_likelihood(context: PagedContext, tokens: np.ndarray) -> float:
    """Return the sum, in nats, over all tokens but the first, each given those before it."""
    total = 0.0
    for start in range(0, len(tokens) - 1, CHUNK):
        step = tokens[start : min(start + CHUNK, len(tokens) - 1)]
        logits = context.step([(context.sequences[0], step)])[0].astype(np.float64)
        largest = logits.max(-1, keepdims=True)
        normaliser = np.log(np.exp(logits - largest).sum(-1)) + largest[:, 0]
        total += float((normaliser - logits[np.arange(len(step)), tokens[start + 1 : start + 1 + len(step)]]).sum())
    return total
