"""One of two classes, from one logit."""

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics import classification as cls

from lit_models.errors import ConfigError
from lit_models.losses import FocalLoss
from lit_models.metrics.exact import ExactAUROC
from lit_models.tasks.base import Task
from lit_models.tasks.prediction_types import Classes


class Binary(Task):
    """One of two classes: targets (N,) of 0 and 1, one logit, the probability of class 1."""

    name = "binary"
    rank_by = "accuracy"
    losses = (nn.BCEWithLogitsLoss, FocalLoss)

    def __init__(self, num_outputs: int) -> None:
        if num_outputs != 1:
            raise ConfigError(f"the task binary has one output, the logit of class 1, and num_outputs is {num_outputs}")
        super().__init__(num_outputs)

    def predict(self, outputs: Tensor) -> Tensor:
        """(N, 1) -> (N,) probabilities of class 1."""
        return outputs.double().sigmoid().squeeze(1)

    def metrics(self) -> dict[str, Metric]:
        """Returns precision, recall and F1 of class 1, as scikit-learn's ``average="binary"``."""
        return {
            "accuracy": cls.BinaryAccuracy(),
            "precision_binary": cls.BinaryPrecision(),
            "recall_binary": cls.BinaryRecall(),
            "f1_binary": cls.BinaryF1Score(),
            "auroc": ExactAUROC(),
        }

    def outcome(self, prediction: Tensor, target: Tensor) -> Classes:
        """Returns both classes."""
        return Classes(torch.stack([1 - prediction, prediction], dim=1), target.long())
