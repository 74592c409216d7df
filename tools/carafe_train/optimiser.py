"""How weights are improved: Muon for the matrices of the layers, Adam for all else.

Muon (Jordan et al., 2024) makes the moving average of a matrix's gradient orthogonal before it is
applied, so that directions which gradients seldom point to are learnt too. With little time to
train in, it gets as low as Adam in clearly fewer tokens. Embeddings, norms and biases have no such
directions: they take Adam's steps. State goes in and comes out; nothing is kept.
"""

import jax
import jax.numpy as jnp

from carafe_train.model import Weights

State = dict[str, jax.Array]

MOMENTUM = 0.95
DECAY = 0.1  # of Muon's matrices, times the learning rate
FIRST, SECOND, SMALL = 0.9, 0.95, 1e-10  # Adam's
# Jordan's coefficients: five rounds bring singular values near 1
QUINTIC = (3.4445, -4.7750, 2.0315)
ROUNDS = 5


def is_matrix(name: str) -> bool:
    """Say whether Muon moves this weight."""
    return name.startswith("h.") and name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight"))


def fresh(weights: Weights) -> State:
    """Return the state before the first step: averages of zero."""
    state = {f"first.{name}": jnp.zeros_like(value) for name, value in weights.items()}
    return state | {f"second.{name}": jnp.zeros_like(value) for name, value in weights.items() if not is_matrix(name)}


def improve(
    weights: Weights, gradients: Weights, state: State, step: jax.Array, muon: jax.Array, adam: jax.Array
) -> tuple[Weights, State]:
    """Return weights and state after step number `step`, the first being 0, at these two learning
    rates.
    """
    new_weights, new_state = {}, {}
    for name, weight in weights.items():
        if not is_matrix(name):
            move, own = _adam(name, gradients[name], state, step)
            new_weights[name] = weight - adam * move
        else:
            move, own = _muon(name, gradients[name], state)
            new_weights[name] = weight * (1 - muon * DECAY) - muon * move
        new_state |= own
    return new_weights, new_state


def _adam(name: str, gradient: jax.Array, state: State, step: jax.Array) -> tuple[jax.Array, State]:
    first = FIRST * state[f"first.{name}"] + (1 - FIRST) * gradient
    second = SECOND * state[f"second.{name}"] + (1 - SECOND) * gradient**2
    unbiased = first / (1 - FIRST ** (step + 1.0)), second / (1 - SECOND ** (step + 1.0))
    return unbiased[0] / (jnp.sqrt(unbiased[1]) + SMALL), {f"first.{name}": first, f"second.{name}": second}


def _muon(name: str, gradient: jax.Array, state: State) -> tuple[jax.Array, State]:
    first = MOMENTUM * state[f"first.{name}"] + (1 - MOMENTUM) * gradient
    ahead = MOMENTUM * first + (1 - MOMENTUM) * gradient  # Nesterov's look ahead
    if not name.endswith(".c_attn.weight"):
        return _orthogonal(ahead), {f"first.{name}": first}
    parts = jnp.split(ahead, 3, -1)  # queries, keys and values are three matrices side by side
    return jnp.concatenate([_orthogonal(part) for part in parts], -1), {f"first.{name}": first}


def _orthogonal(matrix: jax.Array) -> jax.Array:
    """Return nearly the orthogonal matrix nearest to one, larger by the root of out/in where it has
    more outputs than inputs.
    """
    inputs, outputs = matrix.shape
    x = matrix if inputs <= outputs else matrix.T
    x = x / (jnp.linalg.norm(x) + 1e-7)
    a, b, c = QUINTIC
    for _ in range(ROUNDS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    x = x if inputs <= outputs else x.T
    return x * max(1.0, outputs / inputs) ** 0.5
