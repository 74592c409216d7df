"""A matrix that stays in its file and is read a range of rows at a time.

A language model's table of tokens alone may have a billion weights. So the graph's constants and
the float64 references take a matrix in pieces, and no form of it is ever whole in memory that the
graph does not keep itself. Which file and which form it is, only `read` knows.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from carafe_tools.gpt2 import Quantised, Real
from carafe_tools.grouped import Grouped
from carafe_tools.zero_points import SplitGroups

Form = Quantised | Grouped | SplitGroups | Real
PIECE_WEIGHTS = 8 << 20  # 64 MiB of them in float64


@dataclass(frozen=True, eq=False)
class Weights:
    """A matrix (out, in) that is read from its file each time that it is asked for."""

    shape: tuple[int, int]
    read: Callable[[slice], Form]  # a range of its rows, both ends of which are within the matrix
    bits: int  # 4, 8, 16 or 32

    def rows(self, which: np.ndarray | slice) -> Form:
        """Return some of the rows; those that are named one by one as real numbers."""
        if isinstance(which, slice):
            return self.read(slice(*which.indices(self.shape[0])))
        distinct, inverse = np.unique(which, return_inverse=True)
        found = [self.read(slice(row, row + 1)).dequantised(np.float64) for row in map(int, distinct)]
        return Real(np.concatenate(found)[inverse])

    def pieces(self) -> Iterator[Form]:
        """Yield the matrix in ranges of rows that memory has room for."""
        rows, columns = self.shape
        count = max(1, PIECE_WEIGHTS // columns)
        for start in range(0, rows, count):
            yield self.read(slice(start, min(start + count, rows)))

    def dequantised(self, dtype: type = np.float32) -> np.ndarray:
        """Return the whole real matrix that this one stands for."""
        return np.concatenate([piece.dequantised(dtype) for piece in self.pieces()])


def kind(weights: Weights) -> tuple[object, ...]:
    """Return what is equal of matrices that one constant can hold, one above the other."""
    first = weights.read(slice(0, 1))
    stored = first.wide if isinstance(first, SplitGroups) else first
    zero_points = getattr(stored, "zero_points", None)
    return type(first), weights.shape[1], stored.values.dtype, getattr(stored, "bits", None), getattr(zero_points, "dtype", None)


def count_weights(matrices: list[Weights]) -> tuple[int, int]:
    """Return the bits of most weights, and how many weights there are."""
    counts: Counter[int] = Counter()
    for matrix in matrices:
        counts[matrix.bits] += math.prod(matrix.shape)
    return counts.most_common(1)[0][0], counts.total()


def product(hidden: np.ndarray, weights: Weights) -> np.ndarray:
    """Return hidden (T, in) times the transposed matrix in float64, (T, out), a piece at a time."""
    pieces = [hidden @ piece.dequantised(np.float64).T for piece in weights.pieces()]
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)
