"""ROC and precision-recall curves, of each class against the rest or of each label."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_precision_recall_curve, binary_roc

from experiments.figures.drawing import GREY, LINES, display_names, plain, sheet, titled
from lit_models.metrics.classification_metrics import roc_area
from lit_models.tasks.prediction_types import Classes, Labels

MAX_POINTS = 2000
"""A longer curve is drawn with evenly chosen points, which look the same at this size."""


class Curve(NamedTuple):
    """A curve and its summary."""

    x: Tensor  # (P,) in [0, 1]
    y: Tensor  # (P,) in [0, 1]
    area: float  # area under the ROC curve, or average precision


CurveOf = Callable[[Tensor, Tensor], Curve]


def roc(scores: Tensor, positive: Tensor) -> Curve:
    """Computes the exact ROC curve and its area from probabilities (N,); not all rows may be positive, and not none."""
    false_rate, true_rate, _ = binary_roc(scores, positive.long())
    return Curve(false_rate, true_rate, float(roc_area(scores.numpy(), positive.numpy())[0]))


def precision_recall(scores: Tensor, positive: Tensor) -> Curve:
    """Computes the exact precision-recall curve and the average precision, weighted by the steps of recall."""
    precision, recall, _ = binary_precision_recall_curve(scores, positive.long())
    return Curve(recall, precision, float(-(recall.diff() * precision[:-1]).sum()))


def draw_roc(outcome: Classes | Labels, names: Sequence[str], target: Sequence[str] = ()) -> Any:
    """Draws the ROC curves; names of classes or labels, and of the target."""
    figure, (axes,) = sheet(width=7.2)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":", label="chance")
    axes.set(xlabel="false-positive rate", ylabel="true-positive rate")
    _draw(axes, outcome, names, target, roc, "AUROC", "default")
    return figure


def draw_precision_recall(outcome: Classes | Labels, names: Sequence[str], target: Sequence[str] = ()) -> Any:
    """Draws the precision-recall curves, as steps, since precision is a step function of recall.

    Dotted lines are the precision of a prediction without skill: the fraction of rows of the class.
    """
    figure, (axes,) = sheet(width=7.2)
    axes.set(xlabel="recall", ylabel="precision")
    columns = outcome.one_against_rest()
    for index, color in _draw(axes, outcome, names, target, precision_recall, "average precision", "steps-post"):
        axes.axhline(float(columns[index][1].double().mean()), color=color, linewidth=0.8, linestyle=":")
    return figure


def _draw(
    axes: Any,
    outcome: Classes | Labels,
    names: Sequence[str],
    target: Sequence[str],
    curve_of: CurveOf,
    area: str,
    style: str,
) -> list[tuple[int, str]]:
    """Draws the curves, and returns the index and the color of each one in the legend."""
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    columns = outcome.one_against_rest()
    labels = [plain(name) for name in display_names(names, outcome.probabilities.shape[1])]
    defined = {index: pair for index, pair in columns.items() if pair[1].any() and not pair[1].all()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torchmetrics, about undefined curves
        curves = {index: curve_of(*pair) for index, pair in defined.items()}
    # The legend names the lowest curves, as many as have a line style of their own.
    lowest = sorted(sorted(curves, key=lambda index: curves[index].area)[: len(LINES)])
    others = [index for index in curves if index not in lowest]
    for index in others:
        axes.plot(*_thinned(curves[index]), color=GREY, alpha=0.4, linewidth=0.8, drawstyle=style)
    for index, (color, dashes) in zip(lowest, LINES, strict=False):
        curve = curves[index]
        label = f"{labels[index]}: {_rounded(curve.area)}"
        axes.plot(*_thinned(curve), color=color, linestyle=dashes, linewidth=1.5, drawstyle=style, label=label)
    if others:
        axes.plot([], [], color=GREY, alpha=0.4, label=f"{len(others)} higher ones")
    undefined = len(columns) - len(curves)
    title = f"{len(outcome.target):,} test rows" + (f"; {undefined} undefined, without rows" if undefined else "")
    title = f"{labels[1]} against {labels[0]}, {title}" if len(labels) == 2 and 0 not in columns else title
    axes.set_title(titled(target, title), fontsize=10)
    if curves:
        if area != "AUROC":
            axes.plot([], [], color=GREY, linewidth=0.8, linestyle=":", label="no skill")
        title = f"{'class' if isinstance(outcome, Classes) else 'label'}: {area}"
        axes.legend(title=title, fontsize=8, loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    return [(index, color) for index, (color, _) in zip(lowest, LINES, strict=False)]


def _thinned(curve: Curve) -> tuple[Any, Any]:
    index = torch.linspace(0, len(curve.x) - 1, min(MAX_POINTS, len(curve.x))).round().long()
    return curve.x[index].numpy(), curve.y[index].numpy()


def _rounded(area: float) -> str:
    """Formats an area with three digits; 1.000 stands for exactly 1."""
    return f"{min(area, 0.999) if area < 1 else area:.3f}"
