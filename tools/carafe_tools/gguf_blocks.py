"""Unpacks the blocks in which GGUF files keep weights: integers, scales and zero points, without
rounding where that can be.

Goes in: a tensor's bytes, its type and its shape. Comes out: `Grouped`, or `Real` for what is
stored as real numbers. The layouts are those of ggml's `ggml-common.h` and `dequantize_row_*`; a
block is little-endian and lies within a row.

    Q8_0  32 weights  d f16, 32 x i8                            w = d q
    Q4_0  32 weights  d f16, 16 bytes                           w = d (q - 8)
    Q4_1  32 weights  d f16, m f16, 16 bytes                    w = d q + m
    Q4_K 256 weights  d f16, dmin f16, 12 bytes, 128 bytes      w = d s q - dmin m
    Q5_K 256 weights  d f16, dmin f16, 12 bytes, 32, 128 bytes  the same, the fifth bits first
    Q6_K 256 weights  128 bytes, 64 bytes, 16 x i8, d f16       w = d s (q - 32), s for each 16

Of Q4_K and Q5_K s and m have 6 bits, for each 32 weights.

Of the 16 bytes of a Q4 block the lower halves are the first 16 weights and the upper halves the
others; K blocks do the same with 32 bytes and 64 weights. All but the zero points, -m / d, is
exact; these are rounded to f32.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from carafe_tools.errors import require
from carafe_tools.gpt2 import Real
from carafe_tools.grouped import Grouped

GROUP = 32


@dataclass(frozen=True)
class BlockType:
    """How a type of tensor is stored."""

    weights: int  # of a block
    size: int  # of a block, in bytes
    bits: int  # of most of its information: the manifest's `weight_bits`
    unpack: Callable[[np.ndarray, tuple[int, int]], Grouped | Real]  # of bytes (blocks, size)


def unpack(data: np.ndarray, kind: str, shape: tuple[int, int], name: str) -> Grouped | Real:
    """Return a matrix (out, in) of a tensor's bytes; `name` says for people which tensor it is."""
    known = ", ".join(f"`{one}`" for one in BLOCK_TYPES)
    require(kind in BLOCK_TYPES, f"{name} has type `{kind}`; one of {known} was expected")
    block = BLOCK_TYPES[kind]
    require(shape[1] % block.weights == 0, f"{name} has rows of {shape[1]} weights; a multiple of {block.weights} was expected")
    size = shape[0] * shape[1] // block.weights * block.size
    require(data.nbytes == size, f"{name} has {data.nbytes} bytes; {size} were expected for {list(shape)} of type `{kind}`")
    return block.unpack(data.reshape(-1, block.size), shape)


def _f16(data: np.ndarray) -> np.ndarray:
    """Return one f16 of each block as f32 (blocks, 1)."""
    return np.ascontiguousarray(data).view("<f2").astype(np.float32)


def _halves(data: np.ndarray, width: int) -> np.ndarray:
    """Return the lower halves of each `width` bytes, then the upper ones, (blocks, n, 2, width)."""
    pieces = data.reshape(len(data), -1, 1, width)
    return np.concatenate([pieces & 0x0F, pieces >> 4], axis=2)


def _q8_0(data: np.ndarray, shape: tuple[int, int]) -> Grouped:
    return Grouped(data[:, 2:].view(np.int8).reshape(shape), 8, _f16(data[:, :2]).reshape(shape[0], -1))


def _q4_0(data: np.ndarray, shape: tuple[int, int]) -> Grouped:
    values = _halves(data[:, 2:], 16).view(np.int8) - np.int8(8)
    return Grouped(values.reshape(shape), 4, _f16(data[:, :2]).reshape(shape[0], -1))


def _q4_1(data: np.ndarray, shape: tuple[int, int]) -> Grouped:
    return _with_minima(_halves(data[:, 4:], 16), 4, _f16(data[:, :2]), _f16(data[:, 2:4]), shape)


def _q4_k(data: np.ndarray, shape: tuple[int, int]) -> Grouped:
    return _with_minima(_halves(data[:, 16:], 32), 4, *_scales_and_minima(data), shape)


def _q5_k(data: np.ndarray, shape: tuple[int, int]) -> Grouped:
    # bit i of the 32 bytes belongs to the weights of group i
    fifth = (data[:, None, 16:48] >> np.arange(8, dtype=np.uint8)[:, None]) & 1  # (blocks, 8, 32)
    low = _halves(data[:, 48:], 32).reshape(fifth.shape)
    return _with_minima(low | (fifth << 4), 8, *_scales_and_minima(data), shape)


def _q6_k(data: np.ndarray, shape: tuple[int, int]) -> Grouped:
    low = _halves(data[:, :128], 64).reshape(len(data), 8, 32)
    # of 32 bytes each holds two bits of four weights that are 32 apart
    shifts = np.array([0, 2, 4, 6], np.uint8)[:, None]
    high = ((data[:, 128:192].reshape(len(data), 2, 1, 32) >> shifts) & 3).reshape(low.shape)
    values = (low | (high << 4)).view(np.int8) - np.int8(32)
    scales = _f16(data[:, 208:]) * data[:, 192:208].view(np.int8).astype(np.float32)  # (blocks, 16)
    return Grouped(values.reshape(shape), 8, scales.reshape(shape[0], -1))


def _scales_and_minima(data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and smallest weight of each of the eight groups of a K block, f32 (blocks, 8).

    The 12 bytes hold 8 scales and 8 minima of 6 bits: the first four of each in the low bits of
    bytes 0-3 and 4-7, the others in the halves of bytes 8-11 with their upper two bits in the high
    bits of bytes 0-3 and 4-7.
    """
    first, second, third = (data[:, start : start + 4] for start in (4, 8, 12))
    scales = np.concatenate([first & 63, (third & 15) | ((first >> 6) << 4)], axis=1)
    minima = np.concatenate([second & 63, (third >> 4) | ((second >> 6) << 4)], axis=1)
    return _f16(data[:, :2]) * scales, -_f16(data[:, 2:4]) * minima


def _with_minima(values: np.ndarray, bits: int, scales: np.ndarray, minima: np.ndarray, shape: tuple[int, int]) -> Grouped:
    """Return groups whose weights are scale * integer + minimum.

    Where the scale is 0 all weights of a group are the minimum: integers of 1, a zero point of 0
    and a scale of the minimum.
    """
    values, scales, minima = values.reshape(-1, GROUP), scales.reshape(-1), minima.reshape(-1)
    is_flat = scales == 0
    zero_points = np.where(is_flat, 0, -minima / np.where(is_flat, 1, scales))
    values = np.where(is_flat[:, None], 1, values).astype(np.uint8)
    groups = (shape[0], shape[1] // GROUP)
    scales = np.where(is_flat, minima, scales)
    return Grouped(values.reshape(shape), bits, scales.reshape(groups), zero_points.astype(np.float32).reshape(groups))


def _stored(dtype: str) -> Callable[[np.ndarray, tuple[int, int]], Real]:
    return lambda data, shape: Real(np.ascontiguousarray(data).view(dtype).reshape(shape))


BLOCK_TYPES = {
    "F32": BlockType(1, 4, 32, _stored("<f4")),
    "F16": BlockType(1, 2, 16, _stored("<f2")),
    "BF16": BlockType(1, 2, 16, _stored("<u2")),
    "Q8_0": BlockType(32, 34, 8, _q8_0),
    "Q4_0": BlockType(32, 18, 4, _q4_0),
    "Q4_1": BlockType(32, 20, 4, _q4_1),
    "Q4_K": BlockType(256, 144, 4, _q4_k),
    "Q5_K": BlockType(256, 176, 8, _q5_k),
    "Q6_K": BlockType(256, 210, 8, _q6_k),
}
