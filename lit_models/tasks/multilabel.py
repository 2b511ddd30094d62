"""Any number of labels a row, from a logit a label."""

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics import classification as cls

from lit_models.losses import FocalLoss
from lit_models.metrics.exact import ExactAUROC
from lit_models.tasks.base import Task
from lit_models.tasks.prediction_types import Labels


class Multilabel(Task):
    """Any number of labels a row: targets (N, L) of 0 and 1, a logit a label, a probability a label."""

    name = "multilabel"
    rank_by = "f1_macro"
    losses = (nn.BCEWithLogitsLoss, FocalLoss, nn.MultiLabelSoftMarginLoss)

    def loss_target(self, target: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """(N, L) floats."""
        return target.to(dtype)

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
            "auroc_macro": ExactAUROC(),
        }

    def outcome(self, prediction: Tensor, target: Tensor) -> Labels:
        """As many labels as there are outputs."""
        return Labels(prediction, target.long())

    def example_target(self) -> Tensor:
        """No label, all labels, no label."""
        return torch.tensor([[0], [1], [0]]).expand(3, self.num_outputs)
