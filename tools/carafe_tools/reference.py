"""GPT-2 in numpy and float64: the reference that every graph is compared with.

Goes in: a `Gpt2` and token ids. Comes out: the logits of every position. It dequantises the same
int8 bytes, one matrix at a time so that the largest model stays small in memory, and shares no code
with the graphs.
"""

import math

import numpy as np

from carafe_tools.gpt2 import Gpt2, Layer, Linear, Norm, Quantised

HEAD_ROWS = 4096  # rows of the head dequantised at a time


def reference_logits(model: Gpt2, tokens: np.ndarray, wanted: np.ndarray | None = None) -> np.ndarray:
    """Return the logits (T, V) of a sequence of T tokens that starts at position 0.

    Only the wanted rows of them, if some are named.
    """
    heads = model.dimensions.heads
    tables = ((model.token_embedding, tokens), (model.position_embedding, np.arange(len(tokens))))
    hidden = sum(table.rows(indices).dequantised(np.float64) for table, indices in tables)  # (T, E)
    for layer in model.layers:
        hidden = hidden + _attention(_norm(hidden, layer.attention_norm), layer, heads)
        inner = _gelu(_linear(_norm(hidden, layer.mlp_norm), layer.mlp_in))  # (T, 4E)
        hidden = hidden + _linear(inner, layer.mlp_out)
    rows = hidden if wanted is None else hidden[wanted]
    return _head(_norm(rows, model.final_norm), model.head)


def _head(hidden: np.ndarray, head: Quantised) -> np.ndarray:
    blocks = (head.rows(slice(start, start + HEAD_ROWS)) for start in range(0, head.shape[0], HEAD_ROWS))
    return np.concatenate([hidden @ block.dequantised(np.float64).T for block in blocks], axis=1)


def _linear(hidden: np.ndarray, linear: Linear) -> np.ndarray:
    return hidden @ linear.weight.dequantised(np.float64).T + linear.bias.astype(np.float64)


def _norm(hidden: np.ndarray, norm: Norm) -> np.ndarray:
    centred = hidden - hidden.mean(-1, keepdims=True)
    variance = (centred**2).mean(-1, keepdims=True)
    return centred / np.sqrt(variance + norm.epsilon) * norm.gamma.astype(np.float64) + norm.beta.astype(np.float64)


def _gelu(hidden: np.ndarray) -> np.ndarray:
    return 0.5 * hidden * (1 + np.tanh(math.sqrt(2 / math.pi) * (hidden + 0.044715 * hidden**3)))


def _attention(hidden: np.ndarray, layer: Layer, heads: int) -> np.ndarray:
    T, E = hidden.shape
    joined = _linear(hidden, layer.attention_in)  # (T, 3E)
    query, key, value = (part.reshape(T, heads, -1).transpose(1, 0, 2) for part in np.split(joined, 3, axis=-1))
    scores = query @ key.transpose(0, 2, 1) / math.sqrt(E // heads)  # (H, T, T)
    scores = np.where(np.tril(np.ones((T, T), bool)), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return _linear((weights @ value).transpose(1, 0, 2).reshape(T, E), layer.attention_out)
