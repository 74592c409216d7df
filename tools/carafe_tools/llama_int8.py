"""Rounds weights to 8 bits, each row with a scale of its own: `--weights int8`.

Goes in: a `Llama`, or one matrix. Comes out: the same with matrices that are rounded when they are
read. Where a processor has no VNNI, 4-bit groups take longer for one sequence than twice as many
bytes do.
"""

from dataclasses import replace

from carafe_tools.gpt2 import quantise
from carafe_tools.llama import Llama, LlamaLayer, Projection
from carafe_tools.stored_weights import Weights

INT8 = "int8"


def in_int8(model: Llama) -> Llama:
    """Return a model whose matrices are 8-bit ones."""
    tokens = rounded(model.token_embedding)
    head = tokens if model.is_tied else rounded(model.head)
    return replace(model, token_embedding=tokens, layers=[_layer(layer) for layer in model.layers], head=head)


def _layer(layer: LlamaLayer) -> LlamaLayer:
    projections = {name: part for name, part in vars(layer).items() if isinstance(part, Projection)}
    return replace(layer, **{name: replace(part, weights=rounded(part.weights)) for name, part in projections.items()})


def rounded(weights: Weights) -> Weights:
    """Return a matrix in 8 bits, each row with a scale of its own, rounded when it is read."""
    return Weights(weights.shape, lambda rows: quantise(weights.read(rows).dequantised(), per_row=True), 8)
