"""Bayesian bootstrap of test rows (Rubin 1981).

Every resample gives each row a weight from the exponential distribution. The variance is that of drawing rows with
replacement. No weight is 0, so no resample loses a class and leaves AUROC or F1 undefined. A row has the same weights
in every run and in every split that tests it: differences between runs are differences on the same rows. Resamples are
used for variances alone, and their number enters the degrees of freedom.
"""

from collections.abc import Iterator

import numpy
from numpy.typing import NDArray

Array = NDArray[numpy.float64]

RESAMPLES = 200
GOLDEN = 0x9E3779B97F4A7C15
CHUNK = 100_000
"""Weights per array, which fit into a processor's cache."""
MAX_STORED = 40_000_000
"""Weights, 320 MB, that are stored from run to run; more are drawn again for each run."""


class Resamples:
    """Iterable of row weights, for row ids (N,)."""

    def __init__(self, row: NDArray[numpy.int64]) -> None:
        self.row = row
        self._stored = [*self._draw()] if len(row) * RESAMPLES <= MAX_STORED else []

    def __iter__(self) -> Iterator[Array]:
        """Yields arrays of weights (chunk, N), in sum ``RESAMPLES`` x N, in Fortran order."""
        return iter(self._stored) if self._stored else self._draw()

    def _draw(self) -> Iterator[Array]:
        step = max(1, CHUNK // len(self.row))
        return (_weights(self.row, first, min(first + step, RESAMPLES)) for first in range(0, RESAMPLES, step))


def _weights(row: NDArray[numpy.int64], first: int, last: int) -> Array:
    """Draws exponential weights by hashing row id and resample with SplitMix64 (Steele, Lea & Flood 2014).

    A numpy generator would give a row different draws in another split.
    """
    start = numpy.arange(first, last, dtype=numpy.uint64)[:, None] << numpy.uint64(40)
    mixed = _mix(_mix(start + numpy.uint64(GOLDEN)) + row.astype(numpy.uint64) * numpy.uint64(GOLDEN))
    uniform = ((mixed >> numpy.uint64(11)).astype(numpy.float64) + 0.5) * 2.0**-53
    return numpy.asfortranarray(-numpy.log(uniform))


def _mix(state: NDArray[numpy.uint64]) -> NDArray[numpy.uint64]:
    state = (state ^ (state >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return state ^ (state >> numpy.uint64(31))
