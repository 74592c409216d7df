"""Compares logits or scores with a reference, and says whether they pass.

Goes in: two lists of matrices (positions, classes), a matrix for each sequence. Comes out: the
entry of `certificate.json`: errors, argmax agreement, and for a gated comparison its limit and
whether it passed; `limit` and `passed` are null where a figure is only reported. A position is
decided if the reference's top two lie further apart than errors can turn.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

RELATIVE_LIMIT = 1e-4  # of the largest reference value, or of 1 if that is larger
LITERT_AGREEMENT = 0.9


@dataclass(frozen=True, eq=False)
class Comparison:
    """How far some logits are from a reference, a figure for each position."""

    errors: np.ndarray  # the largest of each position
    mean_error: float
    margins: np.ndarray  # of the reference's top two
    equal: np.ndarray  # whether the argmax is
    largest: float  # reference value, without its sign

    @property
    def max_error(self) -> float:
        """The largest error of all; NaN if any value was NaN."""
        return float(self.errors.max())

    @property
    def limit(self) -> float:
        """The error that a gated comparison may have."""
        return RELATIVE_LIMIT * max(1.0, self.largest)

    def agreement(self, margin: float) -> tuple[float, int]:
        """Return the share of equal argmax among positions whose margin is larger, and how many
        those are.
        """
        decided = self.margins > margin
        return (float(self.equal[decided].mean()) if decided.any() else 1.0), int(decided.sum())


def compare(found: Iterable[np.ndarray], reference: list[np.ndarray]) -> Comparison:
    """Compare sequences of logits with a reference, one at a time so that memory stays small;
    `found` may be made on the way.
    """
    parts = [_compare(rows, expected) for rows, expected in zip(found, reference, strict=True)]
    return Comparison(
        errors=np.concatenate([part.errors for part in parts]),
        mean_error=float(np.mean([part.mean_error for part in parts])),
        margins=np.concatenate([part.margins for part in parts]),
        equal=np.concatenate([part.equal for part in parts]),
        largest=max(part.largest for part in parts),
    )


def _compare(rows: np.ndarray, expected: np.ndarray) -> Comparison:
    differences = np.abs(rows - expected)
    return Comparison(
        errors=differences.max(-1),
        mean_error=float(differences.mean()),
        margins=top_two_margins(expected),
        equal=rows.argmax(-1) == expected.argmax(-1),
        largest=float(np.abs(expected).max()),
    )


def top_two_margins(rows: np.ndarray) -> np.ndarray:
    """Return how far the largest value of each row lies above the second."""
    top = np.partition(rows, -2, axis=-1)[:, -2:]
    return top[:, 1] - top[:, 0]


def gated(comparison: Comparison) -> dict[str, Any]:
    """Return the entry of a comparison that must hold: errors within the limit, every decided
    argmax equal.
    """
    limit = comparison.limit
    agreement, decided = comparison.agreement(limit)
    gate = f"error at most {RELATIVE_LIMIT:g} x max(1, largest reference value), argmax equal where the margin exceeds that"
    return _entry(comparison, gate, limit, comparison.max_error <= limit and agreement == 1.0, decided)


def gated_agreement(comparison: Comparison) -> dict[str, Any]:
    """Return the entry of a comparison with LiteRT: the argmax must agree where errors cannot turn
    it.

    Positions without NaN pass by arithmetic once they are decided, so the gate also asks that some
    are.
    """
    agreement, decided = comparison.agreement(2 * comparison.max_error)
    gate = f"argmax agreement at least {LITERT_AGREEMENT} where the margin exceeds twice the largest error, which some must"
    return _entry(comparison, gate, None, decided > 0 and agreement >= LITERT_AGREEMENT, decided)


def reported(comparison: Comparison) -> dict[str, Any]:
    """Return the entry of a comparison that is only told."""
    return _entry(comparison, None, None, None, comparison.agreement(2 * comparison.max_error)[1])


def _entry(comparison: Comparison, gate: str | None, limit: float | None, passed: bool | None, decided: int) -> dict[str, Any]:
    return {
        "gate": gate,
        "limit": None if limit is None else _rounded(limit),
        "max_error": _rounded(comparison.max_error),
        "mean_error": _rounded(comparison.mean_error),
        "argmax_agreement": round(float(comparison.equal.mean()), 4),
        "decided": decided,
        "positions": len(comparison.equal),
        "passed": passed,
    }


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
