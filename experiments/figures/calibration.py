"""Calibration: of the rows whose class is predicted with 80 %, are 80 % right (Guo et al. 2017)?"""

from typing import Any, NamedTuple

import numpy
import torch
from torch import Tensor

from experiments.figures.drawing import COLOURS, GREY, sheet
from lit_models.tasks.prediction_types import Classes

BINS = 15


class Calibration(NamedTuple):
    """The predicted classes by their probability, in bins of equal width.

    Args:
        rows: In each bin (B,).
        confidence: Mean probability of the predicted class (B,), NaN in an empty bin.
        accuracy: Share of rows that are right (B,), NaN in an empty bin.
        error: The expected calibration error: the mean over rows of |accuracy - confidence| of a row's bin.
    """

    rows: Tensor
    confidence: Tensor
    accuracy: Tensor
    error: float


def calibration(outcome: Classes) -> Calibration:
    """Sort rows into ``BINS`` bins ((m - 1) / B, m / B] by the probability of the predicted class."""
    confidence, predicted = outcome.probabilities.double().max(dim=1)
    edges = torch.arange(1, BINS, dtype=torch.float64, device=confidence.device) / BINS
    place = torch.bucketize(confidence, edges)
    rows = torch.bincount(place, minlength=BINS)
    sure = torch.bincount(place, confidence, minlength=BINS)
    right = torch.bincount(place, (predicted == outcome.target).double(), minlength=BINS)
    return Calibration(rows, sure / rows, right / rows, float((right - sure).abs().sum() / len(confidence)))


def draw_reliability(outcome: Classes) -> Any:
    """A figure of accuracy over confidence, with how many rows each bin has below it."""
    seen = calibration(outcome)
    rows, confidence, accuracy = (one.numpy() for one in seen[:3])
    figure, (upper, lower) = sheet(2, 1, 5.2, 6.2, sharex=True, height_ratios=(3, 1))
    centre, width, full = (numpy.arange(BINS) + 0.5) / BINS, 1 / BINS, rows > 0
    upper.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1, label="perfectly calibrated")
    upper.bar(centre[full], accuracy[full], width, color=COLOURS[5], edgecolor="white", label="accuracy of a bin")
    dots = {"color": COLOURS[0], "marker": "o", "markersize": 4, "linestyle": "none", "clip_on": False}
    upper.plot(confidence[full], accuracy[full], **dots, label="at its mean probability")
    upper.set(ylabel="share of rows that are right", xlim=(0, 1), ylim=(0, 1))
    upper.legend(fontsize=8, frameon=False, loc="upper left")
    upper.set_title(
        f"expected calibration error {seen.error:.3f} ({BINS} bins, {len(outcome.target):,} test rows)", fontsize=10
    )
    lower.bar(centre, rows, width, color=GREY, edgecolor="white")
    lower.set(xlabel="probability of the predicted class", ylabel="rows")
    return figure
