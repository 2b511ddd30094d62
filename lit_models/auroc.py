"""The area under the ROC curve, exact, ties included, without drawing the curve.

It is the share of pairs of a positive and a negative in which the positive has the higher score, a tie counted half
(Hanley & McNeil 1982): the ranks of the fewer among the many, found by binary search in their sorted scores.
"""

import numpy
import torch
from torch import Tensor


def auroc(score: Tensor, positive: Tensor) -> float:
    """The area for scores (N,) and which rows are positive (N,) bool; NaN where not both kinds are there."""
    scores, is_positive = score.cpu().numpy(), positive.cpu().numpy()
    positives, negatives = numpy.sort(scores[is_positive]), numpy.sort(scores[~is_positive])
    if not len(positives) or not len(negatives):
        return torch.nan
    few, many = (positives, negatives) if len(positives) < len(negatives) else (negatives, positives)
    # Both are sorted, so that each search goes on, in memory too, where the one before it ended.
    below = int(numpy.searchsorted(many, few).sum()) + int(numpy.searchsorted(many, few, side="right").sum())
    share = below / 2 / len(few) / len(many)
    return share if few is positives else 1 - share
