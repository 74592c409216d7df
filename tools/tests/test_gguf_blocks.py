"""Blocks of a GGUF file are the weights that others read in them: the golden file is made with the
PyPI package `gguf`.
"""

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from carafe_tools.errors import ConversionError
from carafe_tools.gguf_blocks import BLOCK_TYPES, unpack
from carafe_tools.grouped import Grouped

GOLDEN = json.loads((Path(__file__).parent / "golden/gguf_blocks.json").read_text(encoding="utf-8"))
BLOCKS = 4


def golden(kind: str) -> tuple[Grouped, np.ndarray]:
    """The blocks of a type as we unpack them, in two rows, and the weights that they are."""
    data = np.frombuffer(base64.b64decode(GOLDEN[kind]["blocks"]), np.uint8)
    weights = np.frombuffer(base64.b64decode(GOLDEN[kind]["weights"]), "<f4").reshape(2, -1)
    return unpack(data, kind, weights.shape, "the tensor"), weights


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q6_K"])
def test_blocks_without_minima_are_exact(kind: str) -> None:
    unpacked, weights = golden(kind)
    np.testing.assert_array_equal(unpacked.dequantised(), weights)


@pytest.mark.parametrize("kind", ["Q4_1", "Q4_K", "Q5_K"])
def test_blocks_with_minima_differ_by_the_rounding_of_their_zero_points_alone(kind: str) -> None:
    unpacked, weights = golden(kind)
    largest = np.abs(weights).reshape(*unpacked.scales.shape, -1).max(-1, keepdims=True)
    error = np.abs(
        unpacked.dequantised(np.float64).reshape(*unpacked.scales.shape, -1) - weights.reshape(*unpacked.scales.shape, -1)
    )
    assert (error <= 4 * np.finfo(np.float32).eps * largest).all()


@pytest.mark.parametrize("kind", ["Q4_1", "Q4_K", "Q5_K"])
def test_a_block_whose_scale_is_zero_keeps_its_minimum(kind: str) -> None:
    unpacked, weights = golden(kind)
    flat = weights[0, : BLOCK_TYPES[kind].weights]
    np.testing.assert_array_equal(unpacked.dequantised()[0, : len(flat)], flat)
    assert np.isfinite(unpacked.zero_points).all()


def test_every_quantised_type_has_a_golden_block() -> None:
    assert {kind for kind, block in BLOCK_TYPES.items() if block.weights > 1} == set(GOLDEN)


def test_four_bits_are_packed_with_the_first_of_two_in_the_lower_half() -> None:
    matrix = Grouped(np.array([[1, 2, 15, 0]], np.uint8), 4, np.ones((1, 1), np.float32))
    assert matrix.packed().tolist() == [0x21, 0x0F]


def test_bytes_of_another_length_and_rows_that_cut_a_block_are_refused() -> None:
    with pytest.raises(ConversionError, match=r"the tensor has 33 bytes; 34 were expected"):
        unpack(np.zeros(33, np.uint8), "Q8_0", (1, 32), "the tensor")
    with pytest.raises(ConversionError, match=r"a multiple of 256 was expected"):
        unpack(np.zeros(144, np.uint8), "Q4_K", (8, 32), "the tensor")
    with pytest.raises(ConversionError, match=r"has type `IQ2_XXS`; one of `F32`"):
        unpack(np.zeros(66, np.uint8), "IQ2_XXS", (1, 256), "the tensor")
