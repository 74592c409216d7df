"""The writer and the reader are inverse: what was written in a role is found in it, for models of
many shapes.
"""

from pathlib import Path

import numpy as np
import pytest

from carafe_tools.gpt2 import Dimensions, Gpt2, Linear, Norm, Quantised, Real, quantise
from carafe_tools.gpt2_reader import find_gpt2
from carafe_tools.gpt2_writer import gpt2_tflite
from carafe_tools.layouts import CASES
from carafe_tools.tflite_file import read_tflite
from carafe_tools.weights import random

SHAPES = [
    (Dimensions(layers=1, width=8, heads=1, positions=5, vocabulary=11), 5),
    (Dimensions(layers=3, width=24, heads=4, positions=40, vocabulary=24), 7),
    (Dimensions(layers=2, width=32, heads=32, positions=32, vocabulary=128), 32),
    (Dimensions(layers=2, width=16, heads=2, positions=64, vocabulary=64), 1),
]


def assert_same(written: object, found: object) -> None:
    """Compare two parts of a model, field by field, to the bit."""
    assert type(written) is type(found)
    if isinstance(written, Gpt2 | Linear | Norm | Quantised | Real) or hasattr(written, "attention_in"):
        for name, value in vars(written).items():
            assert_same(value, getattr(found, name))
    elif isinstance(written, list):
        assert len(written) == len(found)
        for one, other in zip(written, found, strict=True):
            assert_same(one, other)
    elif isinstance(written, float):
        assert np.float32(written) == np.float32(found)
    else:
        np.testing.assert_array_equal(written, found)


@pytest.mark.parametrize(("dimensions", "sequence"), SHAPES)
def test_every_weight_is_found_in_the_role_it_was_written_in(dimensions: Dimensions, sequence: int, tmp_path: Path) -> None:
    model = random(dimensions, seed=dimensions.width)
    path = tmp_path / "model.tflite"
    path.write_bytes(gpt2_tflite(model, sequence))
    found = find_gpt2(read_tflite(path))
    assert found.sequence == sequence
    assert found.model.dimensions == dimensions
    assert_same(model, found.model)


def test_the_same_model_is_written_as_the_same_bytes() -> None:
    model = random(SHAPES[0][0])
    assert gpt2_tflite(model, 5) == gpt2_tflite(model, 5)


def test_quantising_is_off_by_at_most_half_a_step_and_reaches_127() -> None:
    matrix = np.random.default_rng(1).standard_normal((30, 20), dtype=np.float32)
    quantised = quantise(matrix)
    assert np.abs(quantised.values).max() == 127
    assert np.abs(quantised.dequantised() - matrix).max() <= quantised.scales[0] * 0.5001


def test_a_scale_a_row_is_never_worse_than_one_for_all() -> None:
    rows = np.logspace(-2, 1, 30, dtype=np.float32)[:, None]
    matrix = np.random.default_rng(2).standard_normal((30, 20), dtype=np.float32) * rows
    by_row, by_tensor = (quantise(matrix, per_row=choice) for choice in (True, False))
    assert (np.abs(by_row.values).max(axis=1) == 127).all()
    worst = [np.abs(found.dequantised() - matrix).max(axis=1) for found in (by_row, by_tensor)]
    assert (worst[0] <= by_row.scales * 0.5001).all()
    assert np.median(worst[0] / worst[1]) < 0.5


@pytest.mark.parametrize("name", CASES)
def test_every_layout_gives_the_weights_back(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    found = find_gpt2(read_tflite(case.write(tmp_path / "model.tflite")))
    assert found.sequence == case.sequence
    assert_same(case.model(), found.model)
    assert found.model.is_tied is case.tied


def test_a_matrix_of_zeros_can_be_quantised() -> None:
    quantised = quantise(np.zeros((2, 2), np.float32))
    assert quantised.scales[0] > 0
    assert not quantised.values.any()
