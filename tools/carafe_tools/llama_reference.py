"""A model of the llama kind in numpy and float64: the reference that its graph is compared with.

Goes in: a `Llama` and token ids. Comes out: the logits of every position, or of some. It dequantises the same integers, one
matrix at a time, and shares no code with the graph.
"""

import numpy as np

from carafe_tools.llama import Llama, LlamaLayer, Projection, Weights

WITNESSED_WEIGHTS = 1_000_000_000  # of the largest model that is worth the minutes which this takes
HEAD_ROWS = 4096  # rows of the head that are real numbers at a time


def llama_logits(model: Llama, tokens: np.ndarray, wanted: np.ndarray | None = None) -> np.ndarray:
    """Return the logits (T, V) of a sequence that starts at position 0; only the wanted rows of them, if some are named."""
    hidden = model.token_embedding.rows(tokens).dequantised(np.float64)  # (T, E)
    for layer in model.layers:
        hidden = hidden + _attention(_normalised(hidden, layer.attention_norm, model.epsilon), layer, model)
        normalised = _normalised(hidden, layer.mlp_norm, model.epsilon)
        gate = _projected(normalised, layer.gate)
        hidden = hidden + _projected(gate / (1 + np.exp(-gate)) * _projected(normalised, layer.up), layer.down)
    rows = hidden if wanted is None else hidden[wanted]
    return _head(_normalised(rows, model.final_norm, model.epsilon), model.head)


def _head(hidden: np.ndarray, head: Weights) -> np.ndarray:
    matrix = head.read()
    blocks = (matrix.rows(slice(start, start + HEAD_ROWS)) for start in range(0, head.shape[0], HEAD_ROWS))
    return np.concatenate([hidden @ block.dequantised(np.float64).T for block in blocks], axis=1)


def _projected(hidden: np.ndarray, projection: Projection) -> np.ndarray:
    product = hidden @ projection.weights.dequantised(np.float64).T
    return product if projection.bias is None else product + projection.bias


def _normalised(hidden: np.ndarray, gamma: np.ndarray, epsilon: float) -> np.ndarray:
    return hidden / np.sqrt((hidden**2).mean(-1, keepdims=True) + epsilon) * gamma


def _attention(hidden: np.ndarray, layer: LlamaLayer, model: Llama) -> np.ndarray:
    T, size = len(hidden), model.sizes
    query = _heads(hidden, layer.query, size.heads)  # (H, T, D)
    key = _heads(hidden, layer.key, size.kv_heads)  # (K, T, D)
    value = _heads(hidden, layer.value, size.kv_heads)
    if layer.query_norm is not None:
        query = _normalised(query, layer.query_norm, model.epsilon)
    if layer.key_norm is not None:
        key = _normalised(key, layer.key_norm, model.epsilon)
    if layer.has_positions:
        query, key = _turned(query, model), _turned(key, model)
    key, value = (np.repeat(part, size.heads // size.kv_heads, axis=0) for part in (key, value))
    scores = query @ key.transpose(0, 2, 1) / np.sqrt(size.head_width)  # (H, T, T)
    scores = np.where(np.tril(np.ones((T, T), bool)), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return _projected((weights @ value).transpose(1, 0, 2).reshape(T, -1), layer.attention_out)


def _heads(hidden: np.ndarray, projection: Projection, heads: int) -> np.ndarray:
    return _projected(hidden, projection).reshape(len(hidden), heads, -1).transpose(1, 0, 2)


def _turned(heads: np.ndarray, model: Llama) -> np.ndarray:
    """Turn each pair (i, i + R/2) as a complex number."""
    half = len(model.rope.frequencies)
    turn = np.exp(1j * np.arange(heads.shape[1])[:, None] * model.rope.frequencies) * model.rope.magnitude
    pairs = (heads[..., :half] + 1j * heads[..., half : 2 * half]) * turn
    return np.concatenate([pairs.real, pairs.imag, heads[..., 2 * half :]], -1)
