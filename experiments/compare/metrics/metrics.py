"""Metrics of recorded predictions, by numpy, each for many weightings of the rows at once.

Weights of 1 give the metric itself, as scikit-learn computes it; random ones give what it would have been on other
test rows. All functions take targets and predictions as ``Predictions`` has them, weights (B, N) above 0, and give (B,)
values. What the rows do not define, such as the AUROC of a class without a row, is NaN. Precision, recall and F1 of a
class that is never predicted, or never there, are 0 as in training and scikit-learn.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy
from numpy.typing import NDArray

from experiments.compare.metrics import classification
from experiments.compare.metrics.auroc import auroc

Array = NDArray[numpy.float64]
BINS = 15


@dataclass(frozen=True)
class Measure:
    """A metric.

    Args:
        compute: Targets, predictions and weights to values.
        lower_is_better: Its direction.
    """

    compute: Callable[[Array, Array, Array], Array]
    lower_is_better: bool = False

    def __call__(self, target: Array, prediction: Array, weights: Array) -> Array:
        """(B,) values; NaN where a prediction is not finite, whose rank or argmax would mean nothing."""
        if not numpy.isfinite(prediction).all():
            return numpy.full(len(weights), numpy.nan)
        with numpy.errstate(invalid="ignore", divide="ignore", over="ignore"):
            return self.compute(target, prediction, weights)


def _mean(values: Array, weights: Array) -> Array:
    """Weighted mean over rows: (N,) or (N, outputs) -> (B,) or (B, outputs)."""
    total = weights.sum(axis=1)
    mean: Array = (weights @ values) / (total if values.ndim == 1 else total[:, None])
    return mean


def _log_loss(target: Array, prediction: Array, weights: Array) -> Array:
    """Probabilities are kept off 0 and 1 by float64's epsilon, as scikit-learn does."""
    epsilon = numpy.finfo(numpy.float64).eps
    return _mean(-numpy.log(_of_target(target, numpy.clip(prediction, epsilon, 1 - epsilon))), weights)


def _brier(target: Array, prediction: Array, weights: Array) -> Array:
    """Squared error of the probabilities, 0 to 1 for binary; summed over classes for multiclass, 0 to 2."""
    if prediction.ndim == 1:
        return _mean((prediction - target) ** 2, weights)
    return _mean(((prediction - numpy.eye(prediction.shape[1])[target.astype(int)]) ** 2).sum(axis=1), weights)


def _ece(target: Array, prediction: Array, weights: Array) -> Array:
    """Expected calibration error over 15 bins of equal width (Guo et al. 2017), of the class that is predicted.

    For binary, of class 1.
    """
    sure, hit = prediction, target
    if prediction.ndim == 2:
        sure, hit = prediction.max(axis=1), prediction.argmax(axis=1) == target
    bins = numpy.clip((numpy.arange(BINS + 1) / BINS).searchsorted(sure) - 1, 0, BINS - 1)
    gaps = numpy.eye(BINS)[bins] * (hit - sure)[:, None]
    gap: Array = numpy.abs(_mean(gaps, weights)).sum(axis=1)
    return gap


def _of_target(target: Array, prediction: Array) -> Array:
    if prediction.ndim == 1:
        return numpy.where(target == 1, prediction, 1 - prediction)
    chosen: Array = numpy.take_along_axis(prediction, target.astype(int)[:, None], axis=1)[:, 0]
    return chosen


def _rmse(target: Array, prediction: Array, weights: Array) -> Array:
    root: Array = numpy.sqrt(_mean((target - prediction) ** 2, weights)).mean(axis=1)
    return root


def _mae(target: Array, prediction: Array, weights: Array) -> Array:
    mean: Array = _mean(numpy.abs(target - prediction), weights).mean(axis=1)
    return mean


def _median_absolute_error(target: Array, prediction: Array, weights: Array) -> Array:
    """Mean over outputs of the weighted median, between the two middle rows where the weights fall there."""
    medians = []
    for error in numpy.abs(target - prediction).T:
        order = error.argsort()
        ordered, cumulated = error[order], weights[:, order].cumsum(axis=1)
        half = cumulated[:, -1:] / 2
        low, high = (cumulated < half).sum(axis=1), (cumulated <= half).sum(axis=1)
        medians.append((ordered[low] + ordered[numpy.minimum(high, len(error) - 1)]) / 2)
    median: Array = numpy.mean(medians, axis=0)
    return median


def _r2(target: Array, prediction: Array, weights: Array) -> Array:
    if len(target) < 2 or (target == target[:1]).all(axis=0).any():
        return numpy.full(len(weights), numpy.nan)
    centred = target - target.mean(axis=0)  # ahead of the squares, so that a large mean costs no digits
    total = _mean(centred**2, weights) - _mean(centred, weights) ** 2
    explained: Array = (1 - _mean((target - prediction) ** 2, weights) / total).mean(axis=1)
    return explained


MEASURES: dict[str, dict[str, Measure]] = {
    "binary": {
        "accuracy": Measure(classification.accuracy),
        "precision_binary": Measure(partial(classification.of_class_1, classification.precision)),
        "recall_binary": Measure(partial(classification.of_class_1, classification.recall)),
        "f1_binary": Measure(partial(classification.of_class_1, classification.f1)),
        "auroc": Measure(auroc),
        "balanced_accuracy": Measure(classification.balanced_accuracy),
        "mcc": Measure(classification.mcc),
        "log_loss": Measure(_log_loss, lower_is_better=True),
        "brier": Measure(_brier, lower_is_better=True),
        "ece": Measure(_ece, lower_is_better=True),
    },
    "multiclass": {
        "accuracy": Measure(classification.accuracy),
        "precision_macro": Measure(partial(classification.macro, classification.precision)),
        "recall_macro": Measure(partial(classification.macro, classification.recall)),
        "f1_macro": Measure(partial(classification.macro, classification.f1)),
        "auroc_macro": Measure(auroc),
        "balanced_accuracy": Measure(classification.balanced_accuracy),
        "mcc": Measure(classification.mcc),
        "log_loss": Measure(_log_loss, lower_is_better=True),
        "brier": Measure(_brier, lower_is_better=True),
        "ece": Measure(_ece, lower_is_better=True),
    },
    "multilabel": {
        "f1_macro": Measure(partial(classification.over_labels, classification.f1)),
        "precision_macro": Measure(partial(classification.over_labels, classification.precision)),
        "recall_macro": Measure(partial(classification.over_labels, classification.recall)),
        "accuracy_micro": Measure(classification.accuracy_micro),
        "auroc_macro": Measure(auroc),
    },
    "regression": {
        "rmse": Measure(_rmse, lower_is_better=True),
        "mae": Measure(_mae, lower_is_better=True),
        "r2": Measure(_r2),
        "median_absolute_error": Measure(_median_absolute_error, lower_is_better=True),
    },
}
"""Under each task its metrics by their names in records, those of training first."""
