import pytest

from carafe_bench.statistics import quantile, ratio_of_rounds, spread


def test_a_quantile_lies_between_neighbours_in_proportion():
    assert quantile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.5
    assert quantile([1.0, 2.0], 0.99) == pytest.approx(1.99)
    assert quantile([7.0], 0.25) == 7.0


def test_the_spread_is_the_median_with_its_quartiles():
    found = spread([5.0, 1.0, 4.0, 2.0, 3.0])
    assert (found.median, found.low, found.high, found.count) == (3.0, 2.0, 4.0, 5)


def test_what_slows_a_whole_round_falls_out_of_the_ratio():
    fast, slow = [200.0, 100.0, 50.0], [100.0, 50.0, 25.0]
    assert ratio_of_rounds(fast, slow).median == 2.0
    assert ratio_of_rounds(fast, slow).low == 2.0
