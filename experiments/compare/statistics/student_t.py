"""Student's t by quadrature.

scipy is no dependency: torchmetrics imports all of it where it is installed, which costs every fit 1.5 seconds.
"""

import math
from functools import lru_cache

import numpy
from numpy.typing import ArrayLike, NDArray

Array = NDArray[numpy.float64]
NODES, WEIGHTS = numpy.polynomial.legendre.leggauss(48)


def two_sided(t: ArrayLike, df: ArrayLike) -> Array:
    """Computes the probability that |T| exceeds |t|, for at least 1 degree of freedom; arrays broadcast.

    With T = sqrt(df) tan(angle) the density becomes cos(angle)^(df - 1), smooth on a finite interval.
    """
    t, df = numpy.broadcast_arrays(numpy.abs(numpy.asarray(t, dtype=float)), numpy.asarray(df, dtype=float))
    low = numpy.arctan(t / numpy.sqrt(df))
    high = numpy.minimum(low + 12 / numpy.sqrt(df), numpy.pi / 2)  # the density beyond is negligible
    angle = low[..., None] + (high - low)[..., None] * (NODES + 1) / 2
    power = numpy.exp((df[..., None] - 1) * numpy.log(numpy.maximum(numpy.cos(angle), 1e-300)))
    scale = numpy.vectorize(_log_scale, otypes=[float])(df)
    tail: Array = (power * WEIGHTS).sum(axis=-1) * (high - low) * numpy.exp(scale)
    capped: Array = numpy.minimum(tail, 1.0)
    return capped


def quantile(df: ArrayLike, level: ArrayLike = 0.05) -> Array:
    """Computes, by Newton's method, the t that |T| exceeds with the probability ``level``; arrays broadcast.

    The probability is convex in t: steps from 0 approach the quantile from below and never pass it. No t is above 1e6.
    """
    df, level = numpy.broadcast_arrays(numpy.asarray(df, dtype=float), numpy.asarray(level, dtype=float))
    scale, t = numpy.exp(numpy.vectorize(_log_scale, otypes=[float])(df)) / numpy.sqrt(df), numpy.zeros_like(df)
    for _ in range(100):
        density = numpy.maximum(scale * (1 + t**2 / df) ** (-(df + 1) / 2), 1e-300)
        step = (two_sided(t, df) - level) / (2 * density)
        t = numpy.minimum(t + numpy.maximum(step, 0.0), 1e6)
        if not (step > 1e-9 * t).any():  # the error of a step is its square
            break
    return t


@lru_cache
def t95(df: int) -> float:
    """Returns the two-sided 95 % quantile."""
    return float(quantile(df))


def _log_scale(df: float) -> float:
    return math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - math.log(math.pi) / 2
