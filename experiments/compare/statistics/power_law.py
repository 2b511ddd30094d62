"""Power law of a learning curve over the number of train rows, error = a + b n^-c (Hestness et al. 2017).

Hestness, Narang, Ardalani, Diamos, Jun, Kianinejad, Patwary, Yang & Zhou: Deep Learning Scaling is Predictable,
Empirically. Their exponents c are from .07 to .35.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

Array = NDArray[numpy.float64]

SIZES, FREEDOM = 4, 4
"""A fit needs so many numbers of rows, one more than it has parameters, and so many degrees of freedom of its noise."""

EXPONENTS = numpy.geomspace(0.02, 3, 160)
REPLICATES = 1000
MISFIT = 0.1
"""Relative distance of a point from the curve from which on, beyond its noise, the points follow no power law."""


@dataclass(frozen=True)
class PowerLaw:
    """Fit of a learning curve; each array has the fit and then those of the replicates (1 + REPLICATES,)."""

    largest: float  # the largest number of train rows
    floor: Array  # a, the error that is left with any number of rows; of a replicate it may be below 0
    slope: Array  # b largest^-c, the error that more rows take away in the end
    exponent: Array  # c
    misfit: float  # largest relative distance of a point from the curve beyond its 99.7 % noise; 0 if there is none

    def error(self, rows: Array | float) -> Array:
        """Returns the errors (1 + REPLICATES, S) at numbers of rows (S,)."""
        relative = numpy.atleast_1d(rows) / self.largest
        curves: Array = self.floor[:, None] + self.slope[:, None] * relative[None] ** -self.exponent[:, None]
        return curves.clip(min=0)

    def reduction(self, times: float = 2.0) -> Array:
        """Returns the fractions (1 + REPLICATES,) of the error that so many times the rows take away, from 0 to 1."""
        now, then = self.error(numpy.array([1.0, times]) * self.largest).T
        reduction: Array = (now - then) / numpy.maximum(now, numpy.finfo(numpy.float64).tiny)
        return reduction

    @property
    def is_followed(self) -> bool:
        """True if the points are near the curve."""
        return self.misfit < MISFIT


def fit(rows: Sequence[float], errors: Sequence[Sequence[float]]) -> PowerLaw | None:
    """Fits the means of errors above 0 at numbers of rows, each with some repetitions; None with too few of them.

    The noise is relative to the error and common to all points: that of the repetitions, or of the points around the
    curve if it is larger. The replicates have means with such noise of Student's t distribution, and a floor of any
    sign: with none below 0, intervals of curves that fall to 0 would be too narrow.
    """
    means = numpy.array([numpy.mean(each) for each in errors])
    counts = numpy.array([len(each) for each in errors])
    freedom = int((counts - 1).sum())
    if len(rows) < SIZES or freedom < FREEDOM or not (means > 0).all():
        return None
    largest, relative = float(max(rows)), numpy.asarray(rows, dtype=numpy.float64) / max(rows)
    weights = counts / means**2
    deviations = numpy.concatenate([numpy.asarray(each) / mean - 1 for each, mean in zip(errors, means, strict=True)])
    variance = (deviations**2).sum() / freedom
    best = _least_squares(relative, means[None], weights)
    residuals = PowerLaw(1.0, *best, 0.0).error(relative)[0] / means - 1
    around = (counts * residuals**2).sum() / (len(rows) - SIZES + 1)
    noise = numpy.sqrt(variance / counts)
    beyond = numpy.abs(residuals) - 3 * noise
    drawn = numpy.random.default_rng(0).standard_t(freedom, (REPLICATES, len(rows)))
    replicates = means * (1 + numpy.sqrt(max(variance, around) / counts) * drawn)
    others = _least_squares(relative, numpy.maximum(replicates, 0), weights, -numpy.inf)
    floor, slope, exponent = (numpy.concatenate(pair) for pair in zip(best, others, strict=True))
    return PowerLaw(largest, floor, slope, exponent, float(max(beyond.max(), 0)))


def _least_squares(relative: Array, means: Array, weights: Array, lowest: float = 0) -> tuple[Array, Array, Array]:
    """Returns a >= lowest, b >= 0 and c (R,) of the curves nearest to means (R, S), with rows (S,) from 0 to 1."""
    weights = weights / weights.sum()
    powers = relative[None] ** -EXPONENTS[:, None]  # (C, S)
    mean_power, mean_error = powers @ weights, means @ weights  # (C,), (R,)
    centered = powers - mean_power[:, None]
    slope = (means * weights) @ centered.T / (centered**2 @ weights)  # (R, C)
    floor = mean_error[:, None] - slope * mean_power
    through_zero = (means * weights) @ powers.T / (powers**2 @ weights)
    slope = numpy.where(floor < lowest, through_zero, slope)
    floor = numpy.where(floor < lowest, 0, floor)
    floor = numpy.where(slope < 0, mean_error[:, None], floor)
    slope = numpy.where(slope < 0, 0, slope)
    curves = floor[..., None] + slope[..., None] * powers  # (R, C, S)
    best = ((curves - means[:, None]) ** 2 @ weights).argmin(axis=1)
    every = numpy.arange(len(means))
    return floor[every, best], slope[every, best], EXPONENTS[best]
