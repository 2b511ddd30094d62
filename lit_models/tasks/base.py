"""What every task answers: a loss's target, a prediction, the metrics, and what an outcome is."""

from abc import abstractmethod
from typing import ClassVar, Literal, TypeVar

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from lit_models.errors import ConfigError
from lit_models.tasks.prediction_types import Outcome

Loss = TypeVar("Loss", bound=nn.Module)

TaskName = Literal["binary", "multiclass", "multilabel", "regression"]


class Task(nn.Module):
    """One task; a module, because what regression learned of its target's units belongs into the checkpoint."""

    name: ClassVar[TaskName]
    """As a configuration has it."""
    rank_by: ClassVar[str]
    """The metric that ranks epochs and runs."""
    losses: ClassVar[tuple[type[nn.Module], ...]]
    """The losses of torch and ours that fit, the default one first."""

    def __init__(self, num_outputs: int) -> None:
        super().__init__()
        self.num_outputs = num_outputs

    @abstractmethod
    def loss_target(self, target: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """The target as the losses take it; where it is floats, in the ``dtype`` of the outputs."""

    @abstractmethod
    def predict(self, outputs: Tensor) -> Tensor:
        """Network outputs (N, num_outputs) -> probabilities, or values in the target's own units."""

    @abstractmethod
    def metric_target(self, target: Tensor) -> Tensor:
        """The target as the metrics take it."""

    @abstractmethod
    def metrics(self) -> dict[str, Metric]:
        """The metrics by name, the average in the name; ``predict``'s result is their input."""

    @abstractmethod
    def outcome(self, prediction: Tensor, target: Tensor) -> Outcome:
        """Predictions and targets, a data module's, as what they are: classes, labels or values."""

    @abstractmethod
    def example_target(self) -> Tensor:
        """Three rows of targets as a data module gives them, to try a loss on."""

    def set_target_statistics(self, center: Tensor, scale: Tensor) -> None:  # only regression has any use for it
        """Take over the mean and standard deviation of the train rows' target, each (num_outputs,)."""

    def check_loss(self, loss: Loss) -> Loss:
        """Returns a loss that fits the task.

        Raises:
            ConfigError: For a loss of torch or ours that is meant for another task, or one that fails on three rows.
        """
        name, home = type(loss).__name__, type(loss).__module__
        fitting = ", ".join(one.__name__ for one in self.losses)
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
