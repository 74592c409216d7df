"""GPT-2 as a function of its weights, in JAX: from token ids to the mean loss.

Goes in: weights by their Hugging Face names (a linear layer's is (in, out)), token ids. Comes out:
nats a token. It knows nothing of files, of texts or of how weights are improved. Matrices are
multiplied in bfloat16 with sums in float32 where `low` says so: on a processor that has such
instructions it is the quicker way, and training does not mind the rounding.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from carafe_tools.gpt2 import Dimensions

Weights = dict[str, jax.Array]

EPSILON = 1e-5
# of attention at a time: nearly half of all products of queries and keys are of keys yet to come,
# and left out
QUERIES = 64
# positions whose logits exist at a time: all of a batch would not fit the processor's caches
ROWS = 256


def shapes(size: Dimensions) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight, in a fixed order; the head is the token embedding."""
    E = size.width
    result: dict[str, tuple[int, ...]] = {"wte.weight": (size.vocabulary, E), "wpe.weight": (size.positions, E)}
    for layer in range(size.layers):
        for name, wide in (
            ("attn.c_attn", (E, 3 * E)),
            ("attn.c_proj", (E, E)),
            ("mlp.c_fc", (E, 4 * E)),
            ("mlp.c_proj", (4 * E, E)),
        ):
            result |= {f"h.{layer}.{name}.weight": wide, f"h.{layer}.{name}.bias": wide[1:]}
        for name in ("ln_1", "ln_2"):
            result |= {f"h.{layer}.{name}.weight": (E,), f"h.{layer}.{name}.bias": (E,)}
    return result | {"ln_f.weight": (E,), "ln_f.bias": (E,)}


def initial(size: Dimensions, seed: int) -> Weights:
    """Return fresh weights as GPT-2 had them: what writes into the residual stream is smaller the
    more layers there are.
    """
    generator = np.random.default_rng(seed)
    weights: Weights = {}
    for name, shape in shapes(size).items():
        if len(shape) == 1:
            weights[name] = jnp.full(shape, float("ln_" in name and name.endswith("weight")), jnp.float32)
            continue
        deviation = 0.02 / np.sqrt(2 * size.layers) if "c_proj" in name else 0.02
        weights[name] = jnp.asarray(generator.normal(0, deviation, shape), jnp.float32)
    return weights


def loss(weights: Weights, tokens: jax.Array, size: Dimensions, low: bool) -> jax.Array:
    """Return the mean negative log likelihood of every token but the first of each row, given those
    before it.
    """
    before, after = tokens[:, :-1], tokens[:, 1:]  # (B, T)
    x = hidden(weights, before, size, low)  # (B, T, E)
    return _head_loss(x.reshape(-1, size.width), weights["wte.weight"], after.reshape(-1), low)


def hidden(weights: Weights, tokens: jax.Array, size: Dimensions, low: bool) -> jax.Array:
    """Return what the head sees at each position, (B, T, E)."""
    x = weights["wte.weight"][tokens] + weights["wpe.weight"][: tokens.shape[1]]
    for layer in range(size.layers):
        prefix = f"h.{layer}."
        own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        x = x + _attention(own, _norm(own, "ln_1", x), size.heads, low)
        x = x + _mlp(own, _norm(own, "ln_2", x), low)
    return _norm(weights, "ln_f", x)


def _attention(own: Weights, x: jax.Array, heads: int, low: bool) -> jax.Array:
    B, T, E = x.shape
    parts = jnp.split(_linear(own, "attn.c_attn", x, low), 3, -1)
    # (B, H, T, D)
    q, k, v = (part.reshape(B, T, heads, E // heads).transpose(0, 2, 1, 3) for part in parts)
    # (B, H, T, D)
    mixed = jnp.concatenate([_mixed(q, k, v, start, low) for start in range(0, T, QUERIES)], 2)
    return _linear(own, "attn.c_proj", mixed.transpose(0, 2, 1, 3).reshape(B, T, E), low)


def _mixed(q: jax.Array, k: jax.Array, v: jax.Array, start: int, low: bool) -> jax.Array:
    """Return what the queries from `start` on take from the values up to their own place; keys
    after the last are left out.
    """
    q = q[:, :, start : start + QUERIES]
    end = start + q.shape[2]
    # (B, H, end - start, end)
    scores = _multiply(q, k[:, :, :end].transpose(0, 1, 3, 2), low) / np.sqrt(q.shape[-1])
    seen = jnp.tril(jnp.ones((end - start, end), bool), start)
    return _multiply(jax.nn.softmax(jnp.where(seen, scores, -1e30), -1), v[:, :, :end], low)


def _mlp(own: Weights, x: jax.Array, low: bool) -> jax.Array:
    return _linear(own, "mlp.c_proj", jax.nn.gelu(_linear(own, "mlp.c_fc", x, low), approximate=True), low)


def _norm(own: Weights, name: str, x: jax.Array) -> jax.Array:
    centred = x - x.mean(-1, keepdims=True)
    scale = jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + EPSILON)
    return centred * scale * own[f"{name}.weight"] + own[f"{name}.bias"]


def _linear(own: Weights, name: str, x: jax.Array, low: bool) -> jax.Array:
    return _multiply(x, own[f"{name}.weight"], low) + own[f"{name}.bias"]


def _multiply(a: jax.Array, b: jax.Array, low: bool) -> jax.Array:
    if low:
        a, b = a.astype(jnp.bfloat16), b.astype(jnp.bfloat16)
    return jnp.matmul(a, b, preferred_element_type=jnp.float32)


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def _head_loss(x: jax.Array, embedding: jax.Array, after: jax.Array, low: bool) -> jax.Array:
    """Return the mean loss of positions x (N, E) whose next tokens are `after` (N,)."""
    return _head_forward(x, embedding, after, low)[0]


def _head_forward(
    x: jax.Array, embedding: jax.Array, after: jax.Array, low: bool
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """Return the loss and, as the logits are at hand only now, already the gradients of x and of
    the embedding.
    """
    (N, E), V = x.shape, embedding.shape[0]
    rows = next(size for size in range(min(ROWS, N), 0, -1) if N % size == 0)
    columns = embedding.T  # (E, V): the order in which both large products are quick

    def part(gradient: jax.Array, own: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        x_part, right = own
        logits = _multiply(x_part, columns, low)  # (rows, V)
        largest = logits.max(-1, keepdims=True)
        powers = jnp.exp(logits - largest)
        sums = powers.sum(-1, keepdims=True)
        losses = jnp.log(sums[:, 0]) + largest[:, 0] - jnp.take_along_axis(logits, right[:, None], -1)[:, 0]
        errors = (powers / sums - (jnp.arange(V) == right[:, None])) / N
        return gradient + _multiply(x_part.T, errors, low), (losses.sum(), _multiply(errors, columns.T, low))

    gradient, (losses, x_gradient) = jax.lax.scan(part, jnp.zeros((E, V)), (x.reshape(-1, rows, E), after.reshape(-1, rows)))
    return losses.sum() / N, (x_gradient.reshape(N, E), gradient.T)


def _head_backward(low: bool, kept: tuple[jax.Array, jax.Array], upstream: jax.Array) -> tuple[jax.Array, jax.Array, None]:
    return kept[0] * upstream, kept[1] * upstream, None


_head_loss.defvjp(_head_forward, _head_backward)
