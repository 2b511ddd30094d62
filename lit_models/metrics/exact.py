"""torchmetrics interface to our own metrics: exact, and undefined (NaN) where torchmetrics makes up a number.

torchmetrics returns an AUROC of 0.0 for a class without rows, averages it in, and takes eight times as long for a
million rows of ten classes. Its R2 treats a target that varies by less than 1e-4, in any unit, as constant, and its
errors are accumulated in float32.
"""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat
from typing_extensions import override

from lit_models.metrics.task_metrics import Measure


class ExactMetric(Metric):
    """Keeps the predictions and targets of all rows, and computes a measure of them at once, in float64."""

    full_state_update = False
    preds: Any
    target: Any

    def __init__(self, measure: Measure) -> None:
        super().__init__()
        self.measure = measure
        self.add_state("preds", default=[], dist_reduce_fx="cat")
        self.add_state("target", default=[], dist_reduce_fx="cat")

    @property
    @override
    def higher_is_better(self) -> bool:  # type: ignore[override]
        return not self.measure.lower_is_better

    @override
    def update(self, preds: Tensor, target: Tensor) -> None:
        self.preds.append(preds)
        self.target.append(target)

    @override
    def compute(self) -> Tensor:
        target, prediction = (dim_zero_cat(rows).cpu().numpy() for rows in (self.target, self.preds))
        return torch.from_numpy(self.measure(target, prediction))[0]
