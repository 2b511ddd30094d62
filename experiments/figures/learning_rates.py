"""The figure of a learning-rate search: smoothed loss over the rates that were tried."""

from collections.abc import Sequence
from typing import Any

from experiments.figures.drawing import COLORS, GREY, sheet


def draw_rates(rates: Sequence[float], losses: Sequence[float], chosen: float) -> Any:
    """Draws the loss over the learning rate, on a log axis, up to where it diverges, and marks the chosen rate."""
    figure, (axes,) = sheet()
    axes.plot(rates, losses, color=COLORS[0])
    axes.axvline(chosen, color=GREY, linestyle="--")
    top = max(losses[0], min(losses)) * 1.5
    axes.set(
        xscale="log", ylim=(min(losses) - 0.05 * abs(top), top), xlabel="learning rate", ylabel="train/loss, smoothed"
    )
    axes.set_title(f"learning rate search: {chosen:.2g}")
    return figure
