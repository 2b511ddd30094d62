"""Metrics of each task by name, as training, ``evenhand compare`` and exports compute them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy

from lit_models.metrics import classification_metrics as classes
from lit_models.metrics import regression_metrics as values
from lit_models.metrics.row_weights import Array, Weights, undefined


@dataclass(frozen=True)
class Measure:
    """A metric."""

    compute: Callable[[Array, Array, Weights], Array]  # targets, predictions and row weights to values (B,)
    lower_is_better: bool = False
    bounds: tuple[float, float] | None = (0.0, 1.0)  # least and greatest value; None if one of them does not exist
    is_fraction: bool = False  # True for the fraction of rows that meet a condition
    of_classes: bool = True  # False for a metric of probabilities or values, which no threshold changes
    greatest: float = math.inf  # value of a metric without both bounds

    @property
    def limits(self) -> tuple[float, float]:
        """Least and greatest value, which an interval does not pass; infinite where there is none."""
        if self.bounds is not None:
            return self.bounds
        return (0.0 if self.lower_is_better else -math.inf), self.greatest

    def __call__(self, target: Array, prediction: Array, weights: Weights = None, threshold: float = 0.5) -> Array:
        """Returns values (B,); NaN where a prediction is not finite, since its rank or argmax has no meaning.

        ``threshold`` decides the classes of a binary task.
        """
        if not numpy.isfinite(prediction).all():
            return undefined(weights)
        if threshold != 0.5 and self.of_classes:
            prediction = (prediction > threshold).astype(numpy.float64)
        with numpy.errstate(invalid="ignore", divide="ignore", over="ignore"):
            return self.compute(target, prediction, weights)


OF_CLASSES = ("binary", "multiclass", "multilabel")
"""Tasks whose predictions are probabilities of classes or labels."""

_Error = partial(Measure, lower_is_better=True, bounds=None, of_classes=False)
_Area = partial(Measure, classes.auroc, of_classes=False)

_OF_CLASSES = {
    "balanced_accuracy": Measure(classes.balanced_accuracy),
    "mcc": Measure(classes.mcc, bounds=(-1.0, 1.0)),
    "log_loss": _Error(classes.log_loss),
    "brier": _Error(classes.brier),
    "ece": _Error(classes.ece),
}

MEASURES: dict[str, dict[str, Measure]] = {
    "binary": {
        "accuracy": Measure(classes.accuracy, is_fraction=True),
        "precision_binary": Measure(partial(classes.of_class_1, classes.precision)),
        "recall_binary": Measure(partial(classes.of_class_1, classes.recall)),
        "f1_binary": Measure(partial(classes.of_class_1, classes.f1)),
        "auroc": _Area(),
        **_OF_CLASSES,
    },
    "multiclass": {
        "accuracy": Measure(classes.accuracy, is_fraction=True),
        "precision_macro": Measure(partial(classes.macro, classes.precision)),
        "recall_macro": Measure(partial(classes.macro, classes.recall)),
        "f1_macro": Measure(partial(classes.macro, classes.f1)),
        "auroc_macro": _Area(),
        **_OF_CLASSES,
    },
    "multilabel": {
        "f1_macro": Measure(partial(classes.over_labels, classes.f1)),
        "precision_macro": Measure(partial(classes.over_labels, classes.precision)),
        "recall_macro": Measure(partial(classes.over_labels, classes.recall)),
        "accuracy_micro": Measure(classes.accuracy_micro),
        "auroc_macro": _Area(),
    },
    "regression": {
        "rmse": _Error(values.rmse),
        "mae": _Error(values.mae),
        "r2": Measure(values.r2, bounds=None, of_classes=False, greatest=1.0),
        "median_absolute_error": _Error(values.median_absolute_error),
    },
}
"""Metrics by task and by their names in records; ``Task.measures`` names those of training."""
