"""Weights that are small integers in groups, each group with a scale and perhaps a zero point, as
GGUF's blocks are.

A group is some neighbours of one row, 32 mostly: weight = (integer - zero point) * scale. Where
blocks store the smallest weight and not an integer for it, a zero point is a real number; the CPU
plugin multiplies such groups without expanding them, but not in 8 bits (`zero_points`).
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Grouped:
    """A matrix (out, in) of 4 or 8 bits in groups along its rows."""

    values: np.ndarray  # u8 or i8 (out, in); 0 to 15 or -8 to 7 where there are 4 bits
    bits: int  # 4 or 8
    scales: np.ndarray  # f32 (out, groups)
    zero_points: np.ndarray | None = None  # f32 or u8 (out, groups); integers are in the range of values

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.values.shape[0], self.values.shape[1]

    @property
    def size(self) -> int:
        """The weights of a group."""
        return self.values.shape[1] // self.scales.shape[1]

    @property
    def has_real_zero_points(self) -> bool:
        """Whether zero points are no integers."""
        return self.zero_points is not None and self.zero_points.dtype == np.float32

    def rows(self, which: np.ndarray | slice) -> "Grouped":
        """Return some of the rows."""
        zero_points = None if self.zero_points is None else self.zero_points[which]
        return Grouped(self.values[which], self.bits, self.scales[which], zero_points)

    def dequantised(self, dtype: type = np.float32) -> np.ndarray:
        """Return the real matrix that this one stands for."""
        grouped = self.values.reshape(*self.scales.shape, -1).astype(dtype)
        if self.zero_points is not None:
            grouped -= self.zero_points[..., None].astype(dtype)
        grouped *= self.scales[..., None].astype(dtype)
        return grouped.reshape(self.shape)

    def packed(self) -> np.ndarray:
        """Return the values' bytes as OpenVINO stores them."""
        return pack(self.values, self.bits)


def pack(values: np.ndarray, bits: int) -> np.ndarray:
    """Return the bytes of integers: of two neighbours of 4 bits the first in the lower half."""
    flat = values.reshape(-1).view(np.uint8)
    if bits == 8:
        return flat
    even = np.pad(flat, (0, len(flat) % 2))
    return (even[::2] & 0x0F) | (even[1::2] << 4)
