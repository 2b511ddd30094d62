"""What a metric would have been on other test rows: the Bayesian bootstrap (Rubin 1981).

Every resample gives each row a weight from the exponential distribution. The spread is that of drawing rows with
replacement, and since no weight is 0, no resample loses a class and leaves AUROC or F1 undefined. A row has the same
weights in every run and in every split that tests it, so that differences between runs are differences on the same
rows. Resamples are used for variances alone, and their number enters the degrees of freedom.
"""

from collections.abc import Iterator

import numpy
from numpy.typing import NDArray

Array = NDArray[numpy.float64]

RESAMPLES = 200
GOLDEN = 0x9E3779B97F4A7C15
AT_ONCE = 100_000
"""Weights that stay in a processor's cache."""
KEPT = 40_000_000
"""So many weights, 320 MB, are kept from run to run; of more rows they are drawn anew."""


class Resamples:
    """Weights of test rows.

    Args:
        row: Row ids (N,).
    """

    def __init__(self, row: NDArray[numpy.int64]) -> None:
        self.row = row
        self._kept = [*self._draw()] if len(row) * RESAMPLES <= KEPT else []

    def __iter__(self) -> Iterator[Array]:
        """Weights (some, N), ``RESAMPLES`` altogether, those of one row beside each other in memory."""
        return iter(self._kept) if self._kept else self._draw()

    def _draw(self) -> Iterator[Array]:
        step = max(1, AT_ONCE // len(self.row))
        return (_weights(self.row, at, min(at + step, RESAMPLES)) for at in range(0, RESAMPLES, step))


def _weights(row: NDArray[numpy.int64], first: int, last: int) -> Array:
    """Exponential draws that depend on row id and resample alone, by the mixing function of SplitMix64.

    Steele, Lea & Flood (2014). A generator of numpy's would give a row other draws in another split.
    """
    start = numpy.arange(first, last, dtype=numpy.uint64)[:, None] << numpy.uint64(40)
    mixed = _mix(_mix(start + numpy.uint64(GOLDEN)) + row.astype(numpy.uint64) * numpy.uint64(GOLDEN))
    uniform = ((mixed >> numpy.uint64(11)).astype(numpy.float64) + 0.5) * 2.0**-53
    return numpy.asfortranarray(-numpy.log(uniform))


def _mix(state: NDArray[numpy.uint64]) -> NDArray[numpy.uint64]:
    state = (state ^ (state >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return state ^ (state >> numpy.uint64(31))
