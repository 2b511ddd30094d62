"""Split-conformal prediction: sets and intervals that cover the truth of a stated fraction of new rows.

With exchangeable rows the coverage is at least the stated one, on average over validation rows, and at most 1 / (n + 1)
more where scores are distinct (Vovk, Gammerman & Shafer 2005; Lei, G'Sell, Rinaldo, Tibshirani & Wasserman 2018).

- Regression: the score of a row is the largest of its absolute residuals, each in standard deviations of the target.
- Classification: least ambiguous sets (LAC; Sadinle, Lei & Wasserman 2019), whose score is one minus the probability of
  the row's class, or of its least probable label. No sets of the same coverage are smaller on average if probabilities
  are right. Adaptive sets (APS; Romano, Sesia & Candes 2020) are larger, and exact only with random draws, so that two
  predictions of one row would differ.
"""

import math

from torch import Tensor


def conformal_rank(rows: int, coverage: float) -> int:
    """Returns the rank of the score that bounds a set: ceil((n + 1) * coverage); above ``rows`` if they are too few."""
    return math.ceil(round((rows + 1) * coverage, 9))  # 10 * 0.7 is a little more than 7


def conformal_quantile(scores: Tensor, coverage: float) -> float | None:
    """Returns the score of that rank among scores (N,); None for too few rows, or if it is not finite."""
    rank = conformal_rank(len(scores), coverage)
    if rank > len(scores) or not bool(scores.isfinite().all()):
        return None
    return float(scores.double().cpu().sort().values[rank - 1])


def rows_needed(coverage: float) -> int:
    """Returns the smallest number of rows that has a quantile."""
    rows = max(1, math.floor(coverage / (1 - coverage)) - 1)
    while conformal_rank(rows, coverage) > rows:
        rows += 1
    return rows
