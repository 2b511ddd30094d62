"""Base class of tasks: the loss's target, the prediction, the metrics and the outcome."""

from abc import abstractmethod
from typing import Any, ClassVar, Literal, TypeVar

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from lit_models.errors import ConfigError
from lit_models.metrics.exact import ExactMetric
from lit_models.metrics.task_metrics import MEASURES
from lit_models.tasks.prediction_types import Outcome

Loss = TypeVar("Loss", bound=nn.Module)

TaskName = Literal["binary", "multiclass", "multilabel", "regression"]


class Task(nn.Module):
    """Kind of target; a module, because regression's target statistics belong in the checkpoint."""

    name: ClassVar[TaskName]  # name in a configuration
    rank_by: ClassVar[str]  # metric that ranks epochs and runs
    losses: ClassVar[tuple[type[nn.Module], ...]]
    """Losses of torch and of this package that fit, the default first."""
    measures: ClassVar[tuple[str, ...]]  # metrics of ``MEASURES`` that each evaluation computes
    has_logits: ClassVar[bool] = False  # True if ``predict`` converts logits to probabilities
    thresholds: ClassVar[tuple[str, ...]] = ()  # metrics by which a decision threshold can be chosen
    calibration_measures: ClassVar[tuple[str, ...]] = ()  # metrics that calibration changes
    temperature: float = 1.0  # divides logits in evaluation, see ``lit_models.decisions``
    threshold: float = 0.5  # probability above which a row of a binary task is of class 1

    def __init__(self, num_outputs: int) -> None:
        super().__init__()
        self.num_outputs = num_outputs

    def loss_target(self, target: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Converts targets for the loss: by default to (N, num_outputs) of the ``dtype`` of the outputs."""
        return target.to(dtype).view(len(target), self.num_outputs)

    @abstractmethod
    def predict(self, outputs: Tensor) -> Tensor:
        """Converts outputs (N, num_outputs) to probabilities, or to values in the target's own units."""

    def calibrated(self, outputs: Tensor) -> Tensor:
        """Divides logits (N, num_outputs) by the temperature."""
        return outputs if self.temperature == 1 else outputs / self.temperature

    def log_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Computes the mean negative log-likelihood of logits (N, num_outputs); raises TypeError without logits."""
        raise TypeError(f"a {self.name} task has no logits")

    def errors(self, logits: Tensor, target: Tensor) -> int | None:  # only tasks of classes have right and wrong rows
        """Returns the number of wrong rows or labels of logits (N, num_outputs); None without classes."""
        return None

    @abstractmethod
    def nonconformity(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Returns a score (N,) of how far predictions are from targets, for conformal prediction."""

    @abstractmethod
    def bounds(self, quantile: float) -> dict[str, Any]:
        """Returns plain values of the sets or intervals that a quantile of the scores bounds."""

    @staticmethod
    @abstractmethod
    def combine(outputs: Tensor) -> Tensor:
        """Returns outputs (N, num_outputs) whose prediction is the mean of several: (N, members, num_outputs)."""

    def metric_target(self, target: Tensor) -> Tensor:
        """Converts targets for the metrics; by default they stay."""
        return target

    def metrics(self, *others: str) -> dict[str, Metric]:
        """Returns new metrics by name, the average in the name, and others; ``predict``'s result is their input."""
        return {name: ExactMetric(MEASURES[self.name][name]) for name in (*self.measures, *others)}

    @abstractmethod
    def outcome(self, prediction: Tensor, target: Tensor) -> Outcome:
        """Returns predictions and a data module's targets as classes, labels or values."""

    def example_target(self) -> Tensor:
        """Returns targets of three rows, to try a loss on."""
        return torch.tensor([[0], [1], [0]]).expand(3, self.num_outputs)

    def set_target_statistics(self, center: Tensor, scale: Tensor) -> None:  # only regression needs them
        """Sets the mean and standard deviation of the train rows' targets, each (num_outputs,)."""

    def check_loss(self, loss: Loss) -> Loss:
        """Returns a loss that fits the task.

        Raises ``ConfigError`` for a loss of torch or ours that is for another task, or one that fails on three rows.
        """
        name, home = type(loss).__name__, type(loss).__module__
        fitting = ", ".join(fitting.__name__ for fitting in self.losses)
        if home.startswith(("torch.nn", "lit_models")) and not isinstance(loss, self.losses):
            raise ConfigError(f"the loss {name} does not fit the task {self.name}; these do: {fitting}")
        outputs = torch.linspace(-1, 1, 3 * self.num_outputs).view(3, -1).requires_grad_()
        try:
            value = loss(outputs, self.loss_target(self.example_target()))
        except Exception as error:  # a user's own loss may raise anything
            raise ConfigError(f"the loss {name} does not fit the task {self.name}: {error}") from error
        if not isinstance(value, Tensor) or value.dim() or not value.requires_grad or not value.isfinite():
            raise ConfigError(f"the loss {name} must give one finite number with a gradient, and gave {value!r}")
        return loss
