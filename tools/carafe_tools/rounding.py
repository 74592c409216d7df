"""The forms that weights can be rounded to, by name: `--weights`.

Goes in: a `Llama`, or one matrix. Comes out: the same with matrices that are rounded when they are
read. `int8` has a scale for each row: where a processor has no VNNI, 4-bit groups take longer for
one sequence than twice as many bytes do. `integer-zero-points` is for groups with real zero points
where a processor has VNNI.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from carafe_tools.gpt2 import quantise
from carafe_tools.grouped import Grouped
from carafe_tools.llama import Llama, LlamaLayer, Projection
from carafe_tools.stored_weights import Form, Weights
from carafe_tools.zero_points import split

STORED = "stored"  # as the source has them
INT8 = "int8"
INTEGER_ZERO_POINTS = "integer-zero-points"


@dataclass(frozen=True)
class Rounding:
    """A form that weights are rounded to."""

    matrix: Callable[[Weights], Weights]
    of_tables: bool  # whether token tables have it, of which rows are gathered


def in_int8(weights: Weights) -> Weights:
    """Return a matrix in 8 bits, each row with a scale of its own, rounded when it is read."""
    return Weights(weights.shape, lambda rows: quantise(weights.read(rows).dequantised(), per_row=True), 8)


def with_integer_zero_points(weights: Weights) -> Weights:
    """Return a matrix whose real zero points become integers when it is read; one without such as
    it is.
    """
    return Weights(weights.shape, lambda rows: _split(weights.read(rows)), weights.bits)


def _split(form: Form) -> Form:
    return split(form) if isinstance(form, Grouped) and form.has_real_zero_points else form


ROUNDINGS = {INT8: Rounding(in_int8, True), INTEGER_ZERO_POINTS: Rounding(with_integer_zero_points, False)}


def rounded_matrix(weights: Weights, form: str | None, is_table: bool) -> Weights:
    """Return a matrix in the form of this name; as it is where none is named."""
    rounding = None if form is None else ROUNDINGS[form]
    return weights if rounding is None or (is_table and not rounding.of_tables) else rounding.matrix(weights)


def rounded(model: Llama, form: str | None) -> Llama:
    """Return a model whose matrices are in the form of this name."""
    tokens = rounded_matrix(model.token_embedding, form, is_table=True)
    head = tokens if model.is_tied else rounded_matrix(model.head, form, is_table=False)
    return replace(model, token_embedding=tokens, layers=[_layer(layer, form) for layer in model.layers], head=head)


def _layer(layer: LlamaLayer, form: str | None) -> LlamaLayer:
    projections = {name: part for name, part in vars(layer).items() if isinstance(part, Projection)}
    changed = {
        name: replace(part, weights=rounded_matrix(part.weights, form, is_table=False)) for name, part in projections.items()
    }
    return replace(layer, **changed)
