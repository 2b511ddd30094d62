"""Equivalence of pairs of groups: two one-sided tests, TOST (Schuirmann 1987; for its use see Lakens 2017).

Two groups are equal within a margin if their difference is shown to be above minus the margin and below the margin. The
p value is the larger one of the two tests, which are Student's t with the standard errors and degrees of freedom of
``pairwise``: over training seeds and over test rows.
"""

import numpy
from numpy.typing import NDArray

from experiments.compare.statistics import student_t
from experiments.compare.statistics.pairwise_tests import Pairs

Array = NDArray[numpy.float64]


def tost(pairs: Pairs, margin: float) -> Array:
    """Returns p values (G, G) of a difference at or beyond a positive margin; NaN where ``pairs`` has no test."""
    left = margin - numpy.abs(pairs.difference)  # to the nearer bound, whose test has the larger p
    with numpy.errstate(divide="ignore", invalid="ignore"):
        t = numpy.clip(left / pairs.error, -1e6, 1e6)
    beyond = numpy.full_like(t, numpy.nan)
    defined = ~numpy.isnan(t)
    beyond[defined] = student_t.two_sided(t[defined], pairs.df[defined]) / 2
    return numpy.where(t > 0, beyond, 1 - beyond)
