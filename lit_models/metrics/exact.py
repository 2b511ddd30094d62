"""torchmetrics interface to our own metrics: exact, and undefined (NaN) where torchmetrics makes up a number.

torchmetrics returns an AUROC of 0.0 for a class without rows, averages it in, and takes eight times as long for a
million rows of ten classes. Its R2 treats a target that varies by less than 1e-4, in any unit, as constant, and its
mean squared error is accumulated in float32.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from lit_models.metrics.task_metrics import MEASURES, Measure


class _ExactMetric(Metric):
    """Keeps the predictions and targets of all rows, and computes the metric from them at once."""

    measure: ClassVar[Measure]
    full_state_update = False
    preds: Any
    target: Any

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("preds", default=[], dist_reduce_fx="cat")
        self.add_state("target", default=[], dist_reduce_fx="cat")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Keeps predictions and targets of some rows, in the shapes that the measure takes."""
        self.preds.append(preds)
        self.target.append(target)

    def compute(self) -> Tensor:
        """Returns the scalar float64 value."""
        target, prediction = (dim_zero_cat(rows).cpu().numpy() for rows in (self.target, self.preds))
        return torch.from_numpy(self.measure(target, prediction))[0]


class ExactAUROC(_ExactMetric):
    """Area under the ROC curve: of class 1 for predictions (N,), else the mean over classes or labels.

    Undefined where a class or label has no row, or every row.
    """

    measure = MEASURES["multiclass"]["auroc_macro"]
    higher_is_better = True

    def compute(self) -> Tensor:
        """Returns the scalar value in float32, as torchmetrics does."""
        return super().compute().float()


class RMSE(_ExactMetric):
    """Root of the mean squared error of each output, averaged over outputs."""

    measure = MEASURES["regression"]["rmse"]
    higher_is_better = False


class R2(_ExactMetric):
    """Explained fraction of the variance, averaged over outputs; undefined for a constant target or under two rows."""

    measure = MEASURES["regression"]["r2"]
    higher_is_better = True
