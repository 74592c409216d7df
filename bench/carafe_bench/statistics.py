"""Medians and spread: what is told of figures that were measured several times."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """The middle of some values and how far they lie apart."""

    median: float
    low: float  # a quarter of the values lies below
    high: float  # a quarter lies above
    count: int


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of the values lies, between two neighbours in proportion."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def spread(values: Sequence[float]) -> Spread:
    """Return median and quartiles of at least one value."""
    return Spread(quantile(values, 0.5), quantile(values, 0.25), quantile(values, 0.75), len(values))


def ratio_of_rounds(values: Sequence[float], baseline: Sequence[float]) -> Spread:
    """Return the spread of the ratios within rounds: what both met in the same round falls out of them."""
    pairs = zip(values, baseline, strict=False)
    return spread([value / base for value, base in pairs])
