"""Exact metrics for torchmetrics, undefined (NaN) where no number is right.

torchmetrics returns 0.0 as the AUROC of a class without rows, averages it in, and takes eight times as long for a
million rows of ten classes; its R2 treats any target that varies by less than 1e-4, in any unit, as constant. Metrics
here take the probabilities (or values in the target's own units) of all evaluated rows in one ``update``; the tests
compare them with scikit-learn.
"""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy
import torch
from torch import Tensor
from torchmetrics import MeanSquaredError, Metric
from torchmetrics.utilities.data import dim_zero_cat


def auroc(score: Tensor, positive: Tensor) -> float:
    """Returns the area for scores (N,) and positive rows (N,) bool; NaN if all rows are positive, or none."""
    scores, is_positive = score.cpu().numpy(), positive.cpu().numpy()
    positives, negatives = numpy.sort(scores[is_positive]), numpy.sort(scores[~is_positive])
    if not len(positives) or not len(negatives):
        return torch.nan
    few, many = (positives, negatives) if len(positives) < len(negatives) else (negatives, positives)
    # Both are sorted, so that each search continues, in memory too, where the previous one ended.
    below = int(numpy.searchsorted(many, few).sum()) + int(numpy.searchsorted(many, few, side="right").sum())
    fraction = below / 2 / len(few) / len(many)
    return fraction if few is positives else 1 - fraction


class _AUROC(Metric):
    """Collects probabilities and targets, and averages the area over classes or labels."""

    higher_is_better = True
    full_state_update = False
    preds: Any
    target: Any

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("preds", default=[], dist_reduce_fx="cat")
        self.add_state("target", default=[], dist_reduce_fx="cat")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Adds probabilities and targets of the same rows."""
        self.preds.append(preds)
        self.target.append(target)

    def compute(self) -> Tensor:
        """Returns the mean of the areas; NaN if one of them is."""
        areas = [auroc(*pair) for pair in self.pairs(dim_zero_cat(self.preds), dim_zero_cat(self.target))]
        return torch.tensor(areas, dtype=torch.float64).mean().float()  # the dtype of torchmetrics

    @abstractmethod
    def pairs(self, preds: Tensor, target: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields each class's or label's scores (N,) and positive rows (N,) bool."""


class ExactBinaryAUROC(_AUROC):
    """Area under the ROC curve; undefined if only one class is present."""

    def pairs(self, preds: Tensor, target: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields class 1, from its probabilities (N,)."""
        yield preds, target == 1


class ExactMulticlassAUROC(_AUROC):
    """Mean over classes of each against the rest; undefined if a class has no row, or all."""

    def pairs(self, preds: Tensor, target: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Returns each class against the rest, from probabilities (N, K)."""
        return ((score.contiguous(), target == label) for label, score in enumerate(preds.T))


class ExactMultilabelAUROC(_AUROC):
    """Mean over labels; undefined if a label is on every row, or on none."""

    def pairs(self, preds: Tensor, target: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Returns each label, from probabilities (N, L)."""
        return ((score.contiguous(), has == 1) for score, has in zip(preds.T, target.T, strict=True))


class RMSE(MeanSquaredError):  # noqa: N818  # no exception
    """Root of the mean squared error of each output, averaged over outputs."""

    def __init__(self, num_outputs: int, **kwargs: Any) -> None:
        super().__init__(squared=False, num_outputs=num_outputs, **kwargs)

    def compute(self) -> Tensor:
        """Returns the mean over outputs, a scalar."""
        return super().compute().mean()


class R2(Metric):
    """Explained fraction of the variance, averaged over outputs; undefined for a constant target or under two rows."""

    higher_is_better = True
    full_state_update = False
    preds: Any
    target: Any

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("preds", default=[], dist_reduce_fx="cat")
        self.add_state("target", default=[], dist_reduce_fx="cat")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Adds values and targets, both (N, outputs)."""
        self.preds.append(preds)
        self.target.append(target)

    def compute(self) -> Tensor:
        """Returns 1 - residual / total sum of squares, in two passes, so that a large mean costs no digits."""
        preds, target = dim_zero_cat(self.preds).double(), dim_zero_cat(self.target).double()
        total = (target - target.mean(dim=0)).square().sum(dim=0)
        if len(target) < 2 or bool((target == target[:1]).all(dim=0).any()):
            return torch.tensor(torch.nan, device=self.device)
        return (1 - (target - preds).square().sum(dim=0) / total).mean()
