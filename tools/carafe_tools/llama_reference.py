"""A model of the llama kind in numpy and float64: the reference that its graph is compared with.

Goes in: a `Llama` and token ids. Comes out: the logits of every position, or of some. It
dequantises the same integers, some rows of a matrix at a time, and shares no code with the graph.
Attention is computed head by head, since the scores of all heads of a long prompt would be
gigabytes.
"""

from collections.abc import Callable

import numpy as np

from carafe_tools.language_source import Reference, References
from carafe_tools.llama import Llama, LlamaLayer, Projection
from carafe_tools.stored_weights import product
from carafe_tools.text_run import Logits, Samples

LARGEST_COMPUTED = 1_000_000_000  # weights of a model that is worth the minutes which this takes


def float64_references(
    compute: Callable[[Samples], Logits], stored: Callable[[Samples], Logits] | None, num_weights: int
) -> References:
    """Return a float64 computation as what logits are compared with, unless the model is too large;
    where weights are rounded, with one of the weights that are stored beside it, to report what the
    rounding costs.
    """
    if num_weights <= LARGEST_COMPUTED:
        reported = [] if stored is None else [Reference("stored_weights", stored, is_gated=False)]
        return References([Reference("reference", compute), *reported])
    reason = f"in float64 only models of up to {LARGEST_COMPUTED:.0e} weights are computed; this one has {num_weights:.1e}"
    return References(lacking={"reference": reason})


def llama_logits(model: Llama, tokens: np.ndarray, wanted: np.ndarray | None = None) -> np.ndarray:
    """Return the logits (T, V) of a sequence that starts at position 0; only the wanted rows of
    them, if some are named.
    """
    hidden = model.token_embedding.rows(tokens).dequantised(np.float64)  # (T, E)
    for layer in model.layers:
        hidden = hidden + _attention(_normalised(hidden, layer.attention_norm, model.epsilon), layer, model)
        normalised = _normalised(hidden, layer.mlp_norm, model.epsilon)
        gate = _projected(normalised, layer.gate)
        hidden = hidden + _projected(gate / (1 + np.exp(-gate)) * _projected(normalised, layer.up), layer.down)
    rows = hidden if wanted is None else hidden[wanted]
    return product(_normalised(rows, model.final_norm, model.epsilon), model.head)


def _projected(hidden: np.ndarray, projection: Projection) -> np.ndarray:
    found = product(hidden, projection.weights)
    return found if projection.bias is None else found + projection.bias


def _normalised(hidden: np.ndarray, gamma: np.ndarray, epsilon: float) -> np.ndarray:
    return hidden / np.sqrt((hidden**2).mean(-1, keepdims=True) + epsilon) * gamma


def _attention(hidden: np.ndarray, layer: LlamaLayer, model: Llama) -> np.ndarray:
    size = model.sizes
    query = _heads(hidden, layer.query, size.heads)  # (H, T, D)
    key = _heads(hidden, layer.key, size.kv_heads)  # (K, T, D)
    value = _heads(hidden, layer.value, size.kv_heads)
    if layer.query_norm is not None:
        query = _normalised(query, layer.query_norm, model.epsilon)
    if layer.key_norm is not None:
        key = _normalised(key, layer.key_norm, model.epsilon)
    if layer.has_positions:
        query, key = _turned(query, model), _turned(key, model)
    shared = size.heads // size.kv_heads  # heads of queries for each of keys and values
    heads = [_head(query[head], key[head // shared], value[head // shared]) for head in range(size.heads)]
    return _projected(np.concatenate(heads, axis=1), layer.attention_out)


def _head(query: np.ndarray, key: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return what one head attends to, (T, D) like all three of its arguments."""
    T, D = query.shape
    scores = query @ key.T / np.sqrt(D)  # (T, T)
    scores[np.triu_indices(T, 1)] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return weights @ value


def _heads(hidden: np.ndarray, projection: Projection, heads: int) -> np.ndarray:
    return _projected(hidden, projection).reshape(len(hidden), heads, -1).transpose(1, 0, 2)


def _turned(heads: np.ndarray, model: Llama) -> np.ndarray:
    """Turn each pair (i, i + R/2) as a complex number."""
    half = len(model.rope.frequencies)
    turn = np.exp(1j * np.arange(heads.shape[1])[:, None] * model.rope.frequencies) * model.rope.magnitude
    pairs = (heads[..., :half] + 1j * heads[..., half : 2 * half]) * turn
    return np.concatenate([pairs.real, pairs.imag, heads[..., 2 * half :]], -1)
