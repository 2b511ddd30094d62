"""Figures of a regression: predicted over true values, and residuals."""

from collections.abc import Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

from experiments.figures.drawing import COLORS, GREY, panels, sheet, titled
from lit_models.tasks.prediction_types import Values

MAX_TARGETS = 6
"""Targets that are shown."""
MAX_POINTS = 3000
"""More rows are drawn as a density."""

Column = NDArray[numpy.float64]


def draw_predicted(outcome: Values, names: Sequence[str]) -> Any:
    """Draws predicted over true values, a panel for each target by its name, with equal axes."""
    count = min(outcome.target.shape[1], MAX_TARGETS)
    figure, axes = panels(count, 3, 5.0, 4.6)
    for index, panel in enumerate(axes):
        true, predicted = outcome.target[:, index].numpy(), outcome.prediction[:, index].numpy()
        low, high = min(true.min(), predicted.min()), max(true.max(), predicted.max())
        margin = 0.03 * (high - low) or 1.0
        limits = (low - margin, high + margin)
        _points(panel, true, predicted, (*limits, *limits))
        panel.plot(limits, limits, color=GREY, linestyle=":", linewidth=1)
        panel.set(xlabel="true value", ylabel="predicted value", xlim=limits, ylim=limits, aspect="equal")
        panel.set_title(_title(outcome, names, index), fontsize=10)
    return figure


def draw_residuals(outcome: Values, names: Sequence[str]) -> Any:
    """Draws residuals (true - predicted) over predicted values by target, with their histogram beside them."""
    count = min(outcome.target.shape[1], MAX_TARGETS)
    figure, axes = sheet(count, 2, 8.0, 3.6 * count, sharey="row", width_ratios=(3, 1))
    for index, (left, right) in enumerate(zip(axes[::2], axes[1::2], strict=True)):
        predicted = outcome.prediction[:, index].numpy()
        residual = outcome.target[:, index].numpy() - predicted
        title = f"{_title(outcome, names, index)}: residuals {residual.mean():.3g} ± {residual.std():.3g}"
        _points(left, predicted, residual)
        for panel in (left, right):
            panel.axhline(0, color=GREY, linestyle=":", linewidth=1)
        left.set(xlabel="predicted value", ylabel="true - predicted")
        left.set_title(title, fontsize=10)
        bins = min(40, max(5, int(len(residual) ** 0.5)))
        right.hist(residual, bins=bins, orientation="horizontal", color=COLORS[0])
        right.set(xlabel="rows")
    return figure


def _points(axes: Any, x: Column, y: Column, extent: tuple[float, ...] | None = None) -> None:
    if len(x) > MAX_POINTS:
        axes.hexbin(x, y, gridsize=60, bins="log", mincnt=1, cmap="cividis", extent=extent)
    else:
        axes.scatter(x, y, s=12, color=COLORS[0], alpha=0.5, edgecolors="none")


def _title(outcome: Values, names: Sequence[str], index: int) -> str:
    rows, targets = outcome.target.shape
    numbered = [f"target {index}"] if targets > 1 else []
    return titled([names[index]] if len(names) == targets else numbered, f"{rows:,} test rows")
