"""Gates pass and fail where they should, at their edges."""

import numpy as np
import pytest

from carafe_tools.comparison import compare, gated, gated_agreement, reported

REFERENCE = np.array([[0.0, 1.0, 5.0], [2.0, 1.99995, 0.0]])


def changed(row: int, column: int, by: float) -> np.ndarray:
    """Return the reference with one value changed."""
    result = REFERENCE.copy()
    result[row, column] += by
    return result


def test_equal_logits_pass_with_no_error() -> None:
    entry = gated(compare([REFERENCE], [REFERENCE]))
    assert (entry["passed"], entry["max_error"], entry["argmax_agreement"]) == (True, 0.0, 1.0)


@pytest.mark.parametrize(("error", "passed"), [(4.9e-4, True), (5.1e-4, False)])
def test_the_limit_is_a_share_of_the_largest_reference_value(error: float, passed: bool) -> None:
    entry = gated(compare([changed(0, 0, error)], [REFERENCE]))
    assert entry["limit"] == 5e-4
    assert entry["passed"] is passed


def test_the_limit_is_never_below_that_of_a_largest_value_of_one() -> None:
    assert gated(compare([np.zeros((1, 3))], [np.array([[0.0, 0.1, 0.2]])]))["limit"] == 1e-4


def test_an_argmax_may_turn_where_the_margin_is_within_the_limit() -> None:
    entry = gated(compare([changed(1, 1, 1e-4)], [REFERENCE]))
    assert entry["argmax_agreement"] == 0.5
    assert (entry["decided"], entry["passed"]) == (1, True)


def test_nan_does_not_pass() -> None:
    comparison = compare([changed(0, 0, np.nan)], [REFERENCE])
    assert gated(comparison)["passed"] is False
    assert gated_agreement(comparison)["passed"] is False


def test_agreement_counts_only_positions_that_errors_cannot_turn() -> None:
    entry = gated_agreement(compare([changed(1, 1, 0.01)], [REFERENCE]))
    assert (entry["decided"], entry["argmax_agreement"], entry["passed"]) == (1, 0.5, True)


def test_agreement_over_no_position_at_all_does_not_pass() -> None:
    assert gated_agreement(compare([changed(0, 0, 10.0)], [REFERENCE]))["passed"] is False


def test_a_reported_comparison_neither_passes_nor_fails() -> None:
    entry = reported(compare([changed(0, 0, 10.0)], [REFERENCE]))
    assert (entry["limit"], entry["passed"], entry["max_error"]) == (None, None, 10.0)


def test_sequences_are_compared_as_one_list_of_positions() -> None:
    entry = reported(compare([REFERENCE, changed(0, 0, 1.0)], [REFERENCE, REFERENCE]))
    assert (entry["positions"], entry["max_error"]) == (4, 1.0)
