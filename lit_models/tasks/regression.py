"""Numbers, in the target's own units."""

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, Metric

from lit_models.metrics.exact import R2, RMSE
from lit_models.tasks.base import Task
from lit_models.tasks.prediction_types import Values
from lit_models.training.loss_precision import keep_bits


class Regression(Task):
    """Numbers: targets (N,) or (N, R), standardized for the loss, predicted and measured in their own units."""

    name = "regression"
    rank_by = "rmse"
    losses = (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss)
    center: Tensor
    scale: Tensor

    def __init__(self, num_outputs: int) -> None:
        super().__init__(num_outputs)
        self.register_buffer("center", torch.zeros(num_outputs, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(num_outputs, dtype=torch.float64))

    def set_target_statistics(self, center: Tensor, scale: Tensor) -> None:
        """Standardize with these from now on."""
        self.center.copy_(center)
        self.scale.copy_(scale)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move or cast as any module, but for the targets' statistics: float64 where weights have fewer bits too."""
        with keep_bits(self, torch.float64):
            super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def loss_target(self, target: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """(N,) or (N, R) -> (N, R), standardized."""
        return ((self.metric_target(target) - self.center) / self.scale).to(dtype)

    def predict(self, outputs: Tensor) -> Tensor:
        """(N, R) -> (N, R) in the target's own units."""
        return outputs.double() * self.scale + self.center

    def metric_target(self, target: Tensor) -> Tensor:
        """(N,) or (N, R) -> (N, R)."""
        return target.double().view(len(target), self.num_outputs)

    def metrics(self) -> dict[str, Metric]:
        """In the target's own units, a plain mean over outputs."""
        return {"mae": MeanAbsoluteError(), "rmse": RMSE(), "r2": R2()}

    def outcome(self, prediction: Tensor, target: Tensor) -> Values:
        """As many values as there are outputs."""
        return Values(prediction, self.metric_target(target))

    def example_target(self) -> Tensor:
        """A low, a middle and a high value."""
        return torch.tensor([[-1.0], [0.0], [1.0]]).expand(3, self.num_outputs)
