"""One of several classes, from a logit per class."""

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics import classification as cls

from lit_models.losses import FocalLoss, SoftTargetCrossEntropy
from lit_models.metrics.exact import ExactAUROC
from lit_models.tasks.base import Task
from lit_models.tasks.prediction_types import Classes


class Multiclass(Task):
    """One of several classes: targets (N,) of class indices, a logit per class, probabilities that sum to 1."""

    name = "multiclass"
    rank_by = "accuracy"
    losses = (nn.CrossEntropyLoss, FocalLoss, SoftTargetCrossEntropy, nn.MultiMarginLoss)

    def loss_target(self, target: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """(N,) -> (N,) class indices, int64."""
        return target.long()

    def predict(self, outputs: Tensor) -> Tensor:
        """(N, K) -> (N, K) probabilities."""
        return outputs.double().softmax(dim=1)

    def metrics(self) -> dict[str, Metric]:
        """Returns accuracy over rows, and the others as a plain mean over classes."""
        k = self.num_outputs
        return {
            "accuracy": cls.MulticlassAccuracy(k, average="micro"),
            "precision_macro": cls.MulticlassPrecision(k, average="macro"),
            "recall_macro": cls.MulticlassRecall(k, average="macro"),
            "f1_macro": cls.MulticlassF1Score(k, average="macro"),
            "auroc_macro": ExactAUROC(),
        }

    def outcome(self, prediction: Tensor, target: Tensor) -> Classes:
        """Returns a class per output."""
        return Classes(prediction, target.long())

    def example_target(self) -> Tensor:
        """Returns the first, the last and the first class."""
        return torch.tensor([0, self.num_outputs - 1, 0])
