"""Makes the zero points of groups integers, so that a processor with VNNI multiplies in 8 bits.

Blocks that store their smallest weight have a real zero point z. OpenVINO's CPU plugin multiplies
activations in 8 bits (dynamic quantisation) only where zero points are integers. With z = i + r,

    s (q - z) . x  =  s (q - i) . x  -  s r (sum of x)

for each group, so what rounding leaves, -s r, becomes a column that multiplies the sum of the
group's inputs. These columns are groups of integers themselves: two digits of 4 bits, the second of
what the first leaves, or one of 8 bits. So a zero point is wrong by less than a hundredth of a
step; rounded alone, by up to half a step, it takes SmolLM2's perplexity from 23.7 to 29.4.
"""

from dataclasses import dataclass

import numpy as np

from carafe_tools.grouped import Grouped

DIGITS = {4: 2, 8: 1}  # by the bits of the weights


@dataclass(frozen=True, eq=False)
class SplitGroups:
    """A matrix (out, in) whose zero points are split: into integers, and columns for what is left.

    The columns of each digit fill whole groups; those beyond the number of groups are 0.
    """

    wide: Grouped  # (out, in + digits * columns)
    width: int  # in
    digits: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the matrix that this one stands for."""
        return self.wide.shape[0], self.width

    @property
    def groups(self) -> int:
        """The groups of a row, each of which has a sum."""
        return self.width // self.wide.size

    @property
    def columns(self) -> int:
        """The columns of a digit."""
        return (self.wide.shape[1] - self.width) // self.digits

    def dequantised(self, dtype: type = np.float32) -> np.ndarray:
        """Return the real matrix that this one stands for."""
        whole = self.wide.dequantised(dtype)
        own = whole[:, : self.width].reshape(len(whole), self.groups, -1)
        digits = whole[:, self.width :].reshape(len(whole), self.digits, -1)[..., : self.groups]
        return (own + digits.sum(1)[..., None]).reshape(self.shape)


def split(matrix: Grouped) -> SplitGroups:
    """Return a matrix with real zero points, equal but for the rounding of the last digit."""
    zero_points, scales = (part.astype(np.float64) for part in (matrix.zero_points, matrix.scales))
    whole = np.clip(np.round(zero_points), 0, (1 << matrix.bits) - 1)
    left = (whole - zero_points) * scales
    parts = [Grouped(matrix.values, matrix.bits, matrix.scales, whole.astype(np.uint8))]
    for _ in range(DIGITS[matrix.bits]):
        digit = _digit(left, matrix)
        left = left - digit.dequantised(np.float64)[:, : left.shape[1]]
        parts.append(digit)
    return SplitGroups(_beside(parts), matrix.shape[1], DIGITS[matrix.bits])


def _digit(left: np.ndarray, like: Grouped) -> Grouped:
    """Return the nearest symmetric groups to some columns, filled up with columns of 0."""
    rows, columns = left.shape
    middle = 1 << (like.bits - 1)
    padded = np.zeros((rows, -(-columns // like.size), like.size))
    padded.reshape(rows, -1)[:, :columns] = left
    scales = (np.abs(padded).max(-1) / (middle - 1)).astype(np.float32)
    scales[scales == 0] = 1
    values = np.clip(np.round(padded / scales[..., None]), 1 - middle, middle - 1) + middle
    zero_points = np.full(scales.shape, middle, np.uint8)
    return Grouped(values.astype(np.uint8).reshape(rows, -1), like.bits, scales, zero_points)


def _beside(parts: list[Grouped]) -> Grouped:
    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts], axis=1)

    return Grouped(joined("values"), parts[0].bits, joined("scales"), joined("zero_points"))
