"""Any number of labels per row, from a logit per label."""

from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics import classification as cls

from lit_models.losses import FocalLoss
from lit_models.metrics.exact import ExactAUROC
from lit_models.tasks.base import Task
from lit_models.tasks.prediction_types import Labels


class Multilabel(Task):
    """Any number of labels per row: targets (N, L) of 0 and 1, a logit and a probability per label."""

    name = "multilabel"
    rank_by = "f1_macro"
    losses = (nn.BCEWithLogitsLoss, FocalLoss, nn.MultiLabelSoftMarginLoss)

    def predict(self, outputs: Tensor) -> Tensor:
        """(N, L) -> (N, L) probabilities."""
        return outputs.double().sigmoid()

    def metric_target(self, target: Tensor) -> Tensor:
        """(N, L) -> (N, L) int64."""
        return target.long()

    def metrics(self) -> dict[str, Metric]:
        """Returns ``accuracy_micro`` over every label of every row, and the others as a plain mean over labels."""
        labels = self.num_outputs
        return {
            "accuracy_micro": cls.MultilabelAccuracy(labels, average="micro"),
            "precision_macro": cls.MultilabelPrecision(labels, average="macro"),
            "recall_macro": cls.MultilabelRecall(labels, average="macro"),
            "f1_macro": cls.MultilabelF1Score(labels, average="macro"),
            "auroc_macro": ExactAUROC(),
        }

    def outcome(self, prediction: Tensor, target: Tensor) -> Labels:
        """Returns a label per output."""
        return Labels(prediction, target.long())
