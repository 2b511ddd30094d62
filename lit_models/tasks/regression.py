"""Regression: values in the target's own units."""

from typing import Any

import torch
from torch import Tensor, nn

from lit_models.internals.torch_parts import KeepPrecision
from lit_models.losses import QuantileLoss
from lit_models.tasks.base import Task
from lit_models.tasks.prediction_types import Values


class Regression(KeepPrecision, Task):
    """Values: targets (N,) or (N, R), standardized for the loss, predicted and measured in their own units."""

    min_dtype = torch.float64  # the targets' statistics stay exact if the weights have fewer bits

    name = "regression"
    rank_by = "rmse"
    losses = (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, QuantileLoss)
    measures = ("mae", "rmse", "r2")
    center: Tensor
    scale: Tensor

    def __init__(self, num_outputs: int) -> None:
        super().__init__(num_outputs)
        self.register_buffer("center", torch.zeros(num_outputs, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(num_outputs, dtype=torch.float64))

    def set_target_statistics(self, center: Tensor, scale: Tensor) -> None:
        """Sets the statistics that standardize targets, each (num_outputs,)."""
        self.center.copy_(center)
        self.scale.copy_(scale)

    def loss_target(self, target: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """(N,) or (N, R) -> (N, R), standardized."""
        return ((self.metric_target(target) - self.center) / self.scale).to(dtype)

    def predict(self, outputs: Tensor) -> Tensor:
        """(N, R) -> (N, R) in the target's own units."""
        return outputs.double() * self.scale + self.center

    @staticmethod
    def combine(outputs: Tensor) -> Tensor:
        """(N, members, R) -> (N, R), their means."""
        return outputs.mean(dim=1)

    def nonconformity(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Returns the largest absolute residual (N,) over targets, each in standard deviations of the train rows."""
        return ((self.metric_target(target) - prediction) / self.scale.to(prediction.device)).abs().amax(dim=1)

    def bounds(self, quantile: float) -> dict[str, Any]:
        """Returns half of the width of each target's interval, in its own units."""
        return {"margins": (quantile * self.scale).tolist()}

    def metric_target(self, target: Tensor) -> Tensor:
        """(N,) or (N, R) -> (N, R)."""
        return target.double().view(len(target), self.num_outputs)

    def outcome(self, prediction: Tensor, target: Tensor) -> Values:
        """Returns a value per output."""
        return Values(prediction, self.metric_target(target))

    def example_target(self) -> Tensor:
        """Returns a low, a middle and a high value."""
        return torch.tensor([[-1.0], [0.0], [1.0]]).expand(3, self.num_outputs)
