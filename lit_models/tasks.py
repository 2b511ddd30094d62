"""What is asked of a model: the default loss, what a prediction is, the metrics, and the one that ranks runs.

A network gives (N, num_outputs) numbers whatever the task. Everything that depends on the task is here, so that nobody
else asks which one it is.
"""

from abc import abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, Metric
from torchmetrics import classification as cls

from lit_models.errors import ConfigError
from lit_models.losses import FocalLoss, SoftTargetCrossEntropy
from lit_models.metrics import R2, RMSE, ExactBinaryAUROC, ExactMulticlassAUROC, ExactMultilabelAUROC
from lit_models.outcomes import Classes, Labels, Outcome, Values

TaskName = Literal["binary", "multiclass", "multilabel", "regression"]


class Task(nn.Module):
    """One task; a module, because what regression learned of its target's units belongs into the checkpoint."""

    rank_by: ClassVar[str]
    """The metric that ranks epochs and runs."""
    losses: ClassVar[tuple[type[nn.Module], ...]]
    """The losses of torch and ours that fit, the default one first."""

    def __init__(self, num_outputs: int) -> None:
        super().__init__()
        self.num_outputs = num_outputs

    @abstractmethod
    def loss_target(self, target: Tensor) -> Tensor:
        """The target as the losses take it."""

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

    def check_loss(self, loss: nn.Module) -> None:
        """Raise ``ConfigError`` for a loss of torch or ours that is meant for another task, or one that fails."""
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

    @property
    def name(self) -> TaskName:
        """The task's name, as a configuration has it."""
        return next(name for name, task in TASKS.items() if isinstance(self, task))


class Binary(Task):
    """One of two classes: targets (N,) of 0 and 1, one logit, the probability of class 1."""

    rank_by = "accuracy"
    losses = (nn.BCEWithLogitsLoss, FocalLoss)

    def __init__(self, num_outputs: int) -> None:
        if num_outputs != 1:
            raise ConfigError(f"the task binary has one output, the logit of class 1, and num_outputs is {num_outputs}")
        super().__init__(num_outputs)

    def loss_target(self, target: Tensor) -> Tensor:
        """(N,) -> (N, 1) floats."""
        return target.float().unsqueeze(1)

    def predict(self, outputs: Tensor) -> Tensor:
        """(N, 1) -> (N,) probabilities of class 1."""
        return outputs.double().sigmoid().squeeze(1)

    def metric_target(self, target: Tensor) -> Tensor:
        """(N,) as it is."""
        return target

    def metrics(self) -> dict[str, Metric]:
        """Precision, recall and F1 of class 1, as scikit-learn's ``average="binary"``."""
        return {
            "accuracy": cls.BinaryAccuracy(),
            "precision_binary": cls.BinaryPrecision(),
            "recall_binary": cls.BinaryRecall(),
            "f1_binary": cls.BinaryF1Score(),
            "auroc": ExactBinaryAUROC(),
        }

    def outcome(self, prediction: Tensor, target: Tensor) -> Classes:
        """Two classes."""
        return Classes(torch.stack([1 - prediction, prediction], dim=1), target.long())

    def example_target(self) -> Tensor:
        """Both classes."""
        return torch.tensor([0, 1, 1])


class Multiclass(Task):
    """One of several classes: targets (N,) of class indices, a logit a class, probabilities that sum to 1."""

    rank_by = "accuracy"
    losses = (nn.CrossEntropyLoss, FocalLoss, SoftTargetCrossEntropy, nn.MultiMarginLoss)

    def loss_target(self, target: Tensor) -> Tensor:
        """(N,) class indices."""
        return target.long()

    def predict(self, outputs: Tensor) -> Tensor:
        """(N, K) -> (N, K) probabilities."""
        return outputs.double().softmax(dim=1)

    def metric_target(self, target: Tensor) -> Tensor:
        """(N,) as it is."""
        return target

    def metrics(self) -> dict[str, Metric]:
        """Accuracy over rows; the others a plain mean over classes."""
        k = self.num_outputs
        return {
            "accuracy": cls.MulticlassAccuracy(k, average="micro"),
            "precision_macro": cls.MulticlassPrecision(k, average="macro"),
            "recall_macro": cls.MulticlassRecall(k, average="macro"),
            "f1_macro": cls.MulticlassF1Score(k, average="macro"),
            "auroc_macro": ExactMulticlassAUROC(),
        }

    def outcome(self, prediction: Tensor, target: Tensor) -> Classes:
        """As many classes as there are outputs."""
        return Classes(prediction, target.long())

    def example_target(self) -> Tensor:
        """The first, the last and the first class."""
        return torch.tensor([0, self.num_outputs - 1, 0])


class Multilabel(Task):
    """Any number of labels a row: targets (N, L) of 0 and 1, a logit a label, a probability a label."""

    rank_by = "f1_macro"
    losses = (nn.BCEWithLogitsLoss, FocalLoss, nn.MultiLabelSoftMarginLoss)

    def loss_target(self, target: Tensor) -> Tensor:
        """(N, L) floats."""
        return target.float()

    def predict(self, outputs: Tensor) -> Tensor:
        """(N, L) -> (N, L) probabilities."""
        return outputs.double().sigmoid()

    def metric_target(self, target: Tensor) -> Tensor:
        """(N, L) integers."""
        return target.long()

    def metrics(self) -> dict[str, Metric]:
        """``accuracy_micro`` counts every label of every row; the others are a plain mean over labels."""
        labels = self.num_outputs
        return {
            "accuracy_micro": cls.MultilabelAccuracy(labels, average="micro"),
            "precision_macro": cls.MultilabelPrecision(labels, average="macro"),
            "recall_macro": cls.MultilabelRecall(labels, average="macro"),
            "f1_macro": cls.MultilabelF1Score(labels, average="macro"),
            "auroc_macro": ExactMultilabelAUROC(),
        }

    def outcome(self, prediction: Tensor, target: Tensor) -> Labels:
        """As many labels as there are outputs."""
        return Labels(prediction, target.long())

    def example_target(self) -> Tensor:
        """No label, all labels, no label."""
        return torch.tensor([[0], [1], [0]]).expand(3, self.num_outputs)


class Regression(Task):
    """Numbers: targets (N,) or (N, R), standardized for the loss, predicted and measured in their own units."""

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

    def loss_target(self, target: Tensor) -> Tensor:
        """(N,) or (N, R) -> (N, R), standardized."""
        return ((self.metric_target(target) - self.center) / self.scale).float()

    def predict(self, outputs: Tensor) -> Tensor:
        """(N, R) -> (N, R) in the target's own units."""
        return outputs.double() * self.scale + self.center

    def metric_target(self, target: Tensor) -> Tensor:
        """(N,) or (N, R) -> (N, R)."""
        return target.double().view(len(target), self.num_outputs)

    def metrics(self) -> dict[str, Metric]:
        """In the target's own units, a plain mean over outputs."""
        return {"mae": MeanAbsoluteError(), "rmse": RMSE(self.num_outputs), "r2": R2()}

    def outcome(self, prediction: Tensor, target: Tensor) -> Values:
        """As many values as there are outputs."""
        return Values(prediction, self.metric_target(target))

    def example_target(self) -> Tensor:
        """A low, a middle and a high value."""
        return torch.tensor([[-1.0], [0.0], [1.0]]).expand(3, self.num_outputs)


TASKS: dict[TaskName, type[Task]] = {
    "binary": Binary,
    "multiclass": Multiclass,
    "multilabel": Multilabel,
    "regression": Regression,
}
