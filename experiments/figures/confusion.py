"""Confusion matrix of the test rows."""

from collections.abc import Sequence
from typing import Any

import numpy

from experiments.figures.drawing import display_names, plain, sheet, titled
from lit_models.metrics.classification_metrics import confusion_matrix
from lit_models.metrics.row_weights import Array
from lit_models.tasks.prediction_types import Classes

MAX_CLASSES = 25
"""Classes that are shown. Of more, those with the most wrong rows are shown, and the others are merged."""


def confusion(outcome: Classes) -> Array:
    """Counts rows by true class (down) and predicted class (across): (K, K)."""
    predicted = outcome.predicted().numpy()
    return confusion_matrix(outcome.target.numpy(), predicted, outcome.probabilities.shape[1])


def draw_confusion(outcome: Classes, names: Sequence[str], target: Sequence[str], by_row: bool) -> Any:
    """Draws counts, or with ``by_row`` fractions of each true class; ``names`` of classes and of the ``target``."""
    full = confusion(outcome)
    counts, shown = merge_classes(full, [plain(name) for name in display_names(names, len(full))])
    totals = counts.sum(axis=1, keepdims=True)
    values = numpy.divide(counts, totals, out=numpy.full_like(counts, numpy.nan), where=totals > 0)
    values = values if by_row else counts
    number = len(shown)
    side = max(4.5, 0.42 * number + 2)
    figure, (axes,) = sheet(width=side + 0.8, height=side)
    scaled = values.copy()
    if len(full) > MAX_CLASSES:
        scaled[-1, -1] = 0  # the many merged classes would pale every other cell
    top = 1.0 if by_row else max(float(scaled.max()), 1.0)
    picture = axes.imshow(values, cmap="Blues", vmin=0, vmax=top)
    axes.spines[:].set_visible(False)
    turned = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"} if max(map(len, shown)) > 3 else {}
    axes.set_xticks(range(number), shown, **turned)
    axes.set_yticks(range(number), shown)
    axes.set(xlabel="predicted class", ylabel="true class")
    for true, predicted in zip(*counts.nonzero(), strict=True):
        value = values[true, predicted]
        text, color = _fraction(value) if by_row else f"{int(value):,}", "white" if value > 0.55 * top else "black"
        axes.text(predicted, true, text, ha="center", va="center", color=color, fontsize=8 if number < 13 else 6)
    figure.colorbar(picture, ax=axes, shrink=0.8, label="fraction of the true class" if by_row else "rows")
    # Of the full matrix: a row of one merged class that is predicted as another of them is wrong.
    right = f"{int(full.trace()):,} of {int(full.sum()):,} test rows are right"
    axes.set_title(titled(target, right), fontsize=10)
    return figure


def merge_classes(counts: Array, names: list[str]) -> tuple[Array, list[str]]:
    """Keeps at most ``MAX_CLASSES`` classes: those with the most wrong rows, the others merged into the last."""
    if len(counts) <= MAX_CLASSES:
        return counts, names
    wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    kept = numpy.sort((-wrong).argsort(kind="stable")[: MAX_CLASSES - 1])
    index = numpy.full(len(counts), len(kept))
    index[kept] = numpy.arange(len(kept))
    merged = numpy.zeros((len(kept) + 1, len(kept) + 1))
    numpy.add.at(merged, (index[:, None], index), counts)
    return merged, [*(names[label] for label in kept), f"{len(counts) - len(kept)} others"]


def _fraction(value: float) -> str:
    return "1" if value == 1 else f"{value:.2f}".lstrip("0") if value >= 0.005 else "<.01"
