"""Weights that are small integers in groups, each group with a scale and perhaps a zero point, as
GGUF's blocks are.

A group is some neighbours of one row, 32 mostly: weight = (integer - zero point) * scale. A zero
point is a real number, since blocks store the smallest weight and not an integer for it; the CPU
plugin multiplies such groups without expanding them.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Grouped:
    """A matrix (out, in) of 4 or 8 bits in groups along its rows."""

    values: np.ndarray  # u8 or i8 (out, in); 0 to 15 where there are 4 bits
    bits: int  # 4 or 8
    scales: np.ndarray  # f32 (out, groups)
    zero_points: np.ndarray | None = None  # f32 (out, groups)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.values.shape[0], self.values.shape[1]

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
        """Return the bytes as OpenVINO stores them: of two neighbours of 4 bits the first in the
        lower half.
        """
        if self.bits == 8:
            return self.values
        return self.values[:, ::2] | (self.values[:, 1::2] << 4)
