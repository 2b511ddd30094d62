"""Tasks of classes and labels: one of two classes, one of several, or any number of labels per row."""

import math
from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lit_models.errors import ConfigError
from lit_models.losses import FocalLoss, SoftTargetCrossEntropy
from lit_models.tasks.base import Task
from lit_models.tasks.prediction_types import Classes, Labels


def mean_probability(outputs: Tensor) -> Tensor:
    """Returns the logits (N, L) of the mean of the members' probabilities of labels: (N, members, L)."""
    positive, negative = (functional.logsigmoid(sign * outputs).logsumexp(dim=1) for sign in (1, -1))
    return positive - negative


class Classification(Task):
    """Task of probabilities of classes or labels."""

    has_logits = True

    def log_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Computes the mean over rows and labels."""
        return functional.binary_cross_entropy_with_logits(logits, self.loss_target(target, logits.dtype))

    def errors(self, logits: Tensor, target: Tensor) -> int:
        """Counts wrong labels."""
        return int(((logits > 0) != (self.loss_target(target, logits.dtype) > 0)).sum())

    def nonconformity(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Returns the negative probability (N,) of the row's class, or of its least probable label, -1 without one.

        That is the score of Sadinle et al. (2019), one minus the probability, without a rounding error.
        """
        return -self.outcome(prediction, target).true_probability()

    def bounds(self, quantile: float) -> dict[str, Any]:
        """Returns the least probability of a class or label in a set."""
        return {"least_probability": -quantile}

    @abstractmethod
    def outcome(self, prediction: Tensor, target: Tensor) -> Classes | Labels:
        """Returns probabilities with their targets."""


class Binary(Classification):
    """One of two classes: targets (N,) of 0 and 1, one logit, the probability of class 1."""

    name = "binary"
    rank_by = "accuracy"
    losses = (nn.BCEWithLogitsLoss, FocalLoss)
    measures = ("accuracy", "precision_binary", "recall_binary", "f1_binary", "auroc")
    thresholds = ("f1_binary", "accuracy", "balanced_accuracy", "mcc")
    calibration_measures = ("log_loss", "ece")
    combine = staticmethod(mean_probability)

    def __init__(self, num_outputs: int) -> None:
        if num_outputs != 1:
            raise ConfigError(f"the task binary has one output, the logit of class 1, and num_outputs is {num_outputs}")
        super().__init__(num_outputs)

    def predict(self, outputs: Tensor) -> Tensor:
        """(N, 1) -> (N,) probabilities of class 1."""
        return self.calibrated(outputs.double()).sigmoid().squeeze(1)

    def outcome(self, prediction: Tensor, target: Tensor) -> Classes:
        """Returns both classes."""
        probabilities = torch.stack([1 - prediction, prediction], dim=1)
        return Classes(probabilities, target.long(), binary=True, threshold=self.threshold)


class Multiclass(Classification):
    """One of several classes: targets (N,) of class indices, a logit per class, probabilities that sum to 1."""

    name = "multiclass"
    rank_by = "accuracy"
    losses = (nn.CrossEntropyLoss, FocalLoss, SoftTargetCrossEntropy, nn.MultiMarginLoss)
    measures = ("accuracy", "precision_macro", "recall_macro", "f1_macro", "auroc_macro")
    calibration_measures = ("log_loss", "ece")

    def log_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Computes the mean over rows."""
        return functional.cross_entropy(logits, target.long())

    def errors(self, logits: Tensor, target: Tensor) -> int:
        """Counts wrong rows."""
        return int((logits.argmax(dim=1) != target.long()).sum())

    def loss_target(self, target: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """(N,) -> (N,) class indices, int64."""
        return target.long()

    def predict(self, outputs: Tensor) -> Tensor:
        """(N, K) -> (N, K) probabilities."""
        return self.calibrated(outputs.double()).softmax(dim=1)

    @staticmethod
    def combine(outputs: Tensor) -> Tensor:
        """Logits (N, members, K) -> (N, K), logarithms of the members' mean probabilities."""
        members: Tensor = outputs.log_softmax(dim=2).logsumexp(dim=1)
        return members - math.log(outputs.shape[1])

    def outcome(self, prediction: Tensor, target: Tensor) -> Classes:
        """Returns a class per output."""
        return Classes(prediction, target.long())

    def example_target(self) -> Tensor:
        """Returns the first, the last and the first class."""
        return torch.tensor([0, self.num_outputs - 1, 0])


class Multilabel(Classification):
    """Any number of labels per row: targets (N, L) of 0 and 1, a logit and a probability per label."""

    name = "multilabel"
    rank_by = "f1_macro"
    losses = (nn.BCEWithLogitsLoss, FocalLoss, nn.MultiLabelSoftMarginLoss)
    measures = ("accuracy_micro", "precision_macro", "recall_macro", "f1_macro", "auroc_macro")
    combine = staticmethod(mean_probability)

    def predict(self, outputs: Tensor) -> Tensor:
        """(N, L) -> (N, L) probabilities."""
        return self.calibrated(outputs.double()).sigmoid()

    def metric_target(self, target: Tensor) -> Tensor:
        """(N, L) -> (N, L) int64."""
        return target.long()

    def outcome(self, prediction: Tensor, target: Tensor) -> Labels:
        """Returns a label per output."""
        return Labels(prediction, target.long())
