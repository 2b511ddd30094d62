"""Calibration: of the rows whose class is predicted with 80 %, are 80 % right (Guo et al. 2017)?"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy

from experiments.figures.drawing import COLORS, GREY, display_names, plain, sheet, titled
from lit_models.metrics.classification_metrics import BINS, calibration_bin, class_confidence, ece
from lit_models.metrics.row_weights import Array, grouped_sum
from lit_models.tasks.prediction_types import Classes


class Calibration(NamedTuple):
    """Predicted classes by their probability, or class 1 for binary, in bins of equal width."""

    rows: Array  # number of rows of each bin (B,)
    confidence: Array  # mean probability of the predicted class (B,), NaN in an empty bin
    accuracy: Array  # fraction of rows that are right (B,), NaN in an empty bin
    error: float  # expected calibration error


def calibration(outcome: Classes) -> Calibration:
    """Sorts rows into bins by the probability of the predicted class, or of class 1 for binary."""
    target, probabilities = outcome.target.numpy(), outcome.probabilities.double().numpy()
    probabilities = probabilities[:, 1] if outcome.binary else probabilities  # as in comparisons
    confidence, correct = class_confidence(target, probabilities)
    columns = (numpy.ones(len(target)), confidence, correct)
    rows, sure, right = (grouped_sum(calibration_bin(confidence), column, BINS)[0] for column in columns)
    with numpy.errstate(invalid="ignore"):
        return Calibration(rows, sure / rows, right / rows, float(ece(target, probabilities)[0]))


def draw_reliability(
    outcome: Classes, names: Sequence[str], target: Sequence[str], before: Classes | None = None
) -> Any:
    """Draws accuracy over confidence, with the number of rows of each bin below it; names of classes and target.

    ``before`` are the same rows with their probabilities ahead of calibration, which are drawn beside the others.
    """
    second = plain(display_names(names, 2)[1])
    rows, confidence, accuracy, error = calibration(outcome)
    figure, (upper, lower) = sheet(2, 1, 5.2, 6.2, sharex=True, height_ratios=(3, 1))
    center, width, full = (numpy.arange(BINS) + 0.5) / BINS, 1 / BINS, rows > 0
    upper.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1, label="perfectly calibrated")
    upper.bar(center[full], accuracy[full], width, color=COLORS[5], edgecolor="white", label="accuracy of a bin")
    dots = {"color": COLORS[0], "marker": "o", "markersize": 4, "linestyle": "none", "clip_on": False}
    upper.plot(confidence[full], accuracy[full], **dots, label="at its mean probability")
    title = f"expected calibration error {error:.3f}"
    if before is not None:
        earlier = calibration(before)
        rings = {"color": COLORS[1], "marker": "o", "markersize": 6, "fillstyle": "none", "linestyle": ":"}
        some = earlier.rows > 0
        upper.plot(earlier.confidence[some], earlier.accuracy[some], **rings, clip_on=False, label="before calibration")
        lower.step(center, earlier.rows, where="mid", color=COLORS[1], linewidth=1)
        title += f", {earlier.error:.3f} before calibration"
    upper.set(
        ylabel=f"fraction of rows of class {second}" if outcome.binary else "fraction of rows that are right",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    upper.legend(fontsize=8, frameon=False, loc="upper left")
    title += f" ({BINS} bins, {len(outcome.target):,} test rows)"
    upper.set_title(titled(target, title), fontsize=10, wrap=True)
    lower.bar(center, rows, width, color=GREY, edgecolor="white")
    lower.set(xlabel=f"probability of {f'class {second}' if outcome.binary else 'the predicted class'}", ylabel="rows")
    return figure
