"""ROC and precision-recall curves, of each class against the rest or of each label."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_precision_recall_curve, binary_roc

from experiments.figures.drawing import GREY, LINES, named, sheet
from lit_models.tasks.prediction_types import Classes, Labels

POINTS = 2000
"""A curve of more is drawn with so many, evenly chosen: no pixel shows the others."""


class Curve(NamedTuple):
    """A curve and the number that sums it up.

    Args:
        x: (P,) in [0, 1].
        y: (P,) in [0, 1].
        area: Under the ROC curve, or the average precision.
    """

    x: Tensor
    y: Tensor
    area: float


def roc(scores: Tensor, has: Tensor) -> Curve:
    """The true-positive rate over the false-positive rate, exact, and the area under it.

    Args:
        scores: Probabilities (N,).
        has: Whether a row is positive (N,); some are, and some are not.
    """
    false, true, _ = binary_roc(scores, has.long())
    return Curve(false, true, float(torch.trapezoid(true, false)))


def precision_recall(scores: Tensor, has: Tensor) -> Curve:
    """Precision over recall, exact, and the average precision: the sum of precisions weighted by the steps of recall.

    Args:
        scores: Probabilities (N,).
        has: Whether a row is positive (N,); some are.
    """
    precision, recall, _ = binary_precision_recall_curve(scores, has.long())
    return Curve(recall, precision, float(-(recall.diff() * precision[:-1]).sum()))


def draw_roc(outcome: Classes | Labels, names: Sequence[str]) -> Any:
    """A figure of the ROC curves."""
    figure, axes = _square("false-positive rate", "true-positive rate")
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":", label="chance")
    _lines(axes, outcome, names, roc, "AUROC", "default")
    return figure


def draw_precision_recall(outcome: Classes | Labels, names: Sequence[str]) -> Any:
    """A figure of the precision-recall curves; precision is a step function of recall, and drawn as one."""
    figure, axes = _square("recall", "precision")
    _lines(axes, outcome, names, precision_recall, "average precision", "steps-post")
    return figure


def _square(x: str, y: str) -> tuple[Any, Any]:
    figure, (axes,) = sheet(width=7.2)
    axes.set(xlabel=x, ylabel=y, xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    return figure, axes


def _lines(axes: Any, outcome: Classes | Labels, names: Sequence[str], of: Any, area: str, style: str) -> None:
    count = outcome.probabilities.shape[1]
    labels = named(names, count)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchmetrics warns of what is left out here
        curves = {
            one: of(scores, has)
            for one, (scores, has) in outcome.one_against_rest().items()
            if has.any() and not has.all()
        }
    # Of more curves than can be told apart, the lowest are named.
    lowest = sorted(sorted(curves, key=lambda one: curves[one].area)[: len(LINES)])
    others = [one for one in curves if one not in lowest]
    for one in others:
        axes.plot(*_thin(curves[one]), color=GREY, alpha=0.4, linewidth=0.8, drawstyle=style)
    for one, (colour, dashes) in zip(lowest, LINES, strict=False):
        curve = curves[one]
        label = f"{labels[one]}: {_floored(curve.area)}"
        axes.plot(*_thin(curve), color=colour, linestyle=dashes, linewidth=1.5, drawstyle=style, label=label)
    if others:
        axes.plot([], [], color=GREY, alpha=0.4, label=f"{len(others)} higher ones")
    undefined = len(outcome.one_against_rest()) - len(curves)
    what = "class" if isinstance(outcome, Classes) else "label"
    title = f"{len(outcome.target):,} test rows" + (f"; {undefined} undefined, without rows" if undefined else "")
    axes.set_title(title, fontsize=10)
    if curves:
        axes.legend(title=f"{what}: {area}", fontsize=8, loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)


def _thin(curve: Curve) -> tuple[Any, Any]:
    index = torch.linspace(0, len(curve.x) - 1, min(POINTS, len(curve.x))).round().long()
    return curve.x[index].numpy(), curve.y[index].numpy()


def _floored(area: float) -> str:
    """To three digits, without 1.000 for what is less."""
    return f"{min(area, 0.999) if area < 1 else area:.3f}"
