"""Regression: predicted against true values, and what is left over."""

from typing import Any

import numpy
from numpy.typing import NDArray

from experiments.figures.drawing import COLOURS, GREY, panels, sheet
from lit_models.tasks.prediction_types import Values

MOST = 6
"""Targets that are shown."""
MANY = 3000
"""More rows are drawn as a density."""

Column = NDArray[numpy.float64]


def draw_predicted(outcome: Values) -> Any:
    """A figure of predicted over true values, a panel for each target, both axes alike."""
    count = min(outcome.target.shape[1], MOST)
    figure, axes = panels(count, 3, 5.0, 4.6)
    for one, panel in enumerate(axes):
        true, predicted = outcome.target[:, one].numpy(), outcome.prediction[:, one].numpy()
        low, high = min(true.min(), predicted.min()), max(true.max(), predicted.max())
        margin = 0.03 * (high - low) or 1.0
        limits = (low - margin, high + margin)
        _points(panel, true, predicted, (*limits, *limits))
        panel.plot(limits, limits, color=GREY, linestyle=":", linewidth=1)
        panel.set(xlabel="true value", ylabel="predicted value", xlim=limits, ylim=limits, aspect="equal")
        panel.set_title(_title(outcome, one), fontsize=10)
    return figure


def draw_residuals(outcome: Values) -> Any:
    """A figure of residuals (true - predicted) over predicted values, with their histogram beside them."""
    count = min(outcome.target.shape[1], MOST)
    figure, axes = sheet(count, 2, 8.0, 3.6 * count, sharey="row", width_ratios=(3, 1))
    for one in range(count):
        left, right = axes[2 * one], axes[2 * one + 1]
        predicted = outcome.prediction[:, one].numpy()
        residual = outcome.target[:, one].numpy() - predicted
        _points(left, predicted, residual)
        for panel in (left, right):
            panel.axhline(0, color=GREY, linestyle=":", linewidth=1)
        left.set(xlabel="predicted value", ylabel="true - predicted")
        left.set_title(f"{_title(outcome, one)}: residuals {residual.mean():.3g} ± {residual.std():.3g}", fontsize=10)
        right.hist(
            residual, bins=min(40, max(5, int(len(residual) ** 0.5))), orientation="horizontal", color=COLOURS[0]
        )
        right.set(xlabel="rows")
    return figure


def _points(axes: Any, x: Column, y: Column, extent: tuple[float, ...] | None = None) -> None:
    if len(x) > MANY:
        axes.hexbin(x, y, gridsize=60, bins="log", mincnt=1, cmap="cividis", extent=extent)
    else:
        axes.scatter(x, y, s=12, color=COLOURS[0], alpha=0.5, edgecolors="none")


def _title(outcome: Values, one: int) -> str:
    rows, targets = outcome.target.shape
    return f"{rows:,} test rows" + (f", target {one}" if targets > 1 else "")
