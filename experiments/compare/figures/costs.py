"""What a group reaches against what it costs: seconds of training, and parameters."""

from collections.abc import Sequence

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from experiments.compare.comparison import Standing
from experiments.compare.figures.style import COLORS, plot
from experiments.compare.groups import Block


def figure(block: Block, standings: Sequence[Standing]) -> Figure:
    """A point a group with the 95 % interval of its mean, against seconds on the left, parameters on the right."""
    drawn, panels = plot(10, 4.5, columns=2)
    shown = standings[: len(COLORS)]
    costs: dict[str, list[float]] = {
        "seconds of training, mean over runs": [standing.seconds for standing in shown],
        "parameters": [standing.parameters for standing in shown],
    }
    for axes, (name, values) in zip(panels, costs.items(), strict=True):
        for standing, cost, color in zip(shown, values, COLORS, strict=False):
            told = standing.estimate
            half = 0.0 if numpy.isnan(told.low) else told.high - told.mean
            axes.errorbar(cost, told.mean, half, fmt="o", color=color, capsize=3, label=standing.group.label)
        _scale(axes, values)
        axes.set_xlabel(name)
        axes.set_ylabel(f"test/{block.metric}")
    best = f", the best {len(shown)} of {len(standings)} groups" if len(shown) < len(standings) else ""
    drawn.suptitle(f"{block.data}: mean and its 95 % interval{best}", fontsize=10)
    handles, labels = panels[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=min(4, len(shown)), fontsize=8, frameon=False)
    return drawn


def _scale(axes: Axes, values: list[float]) -> None:
    """Logarithmic, with a place for 0, which is how many parameters a classical baseline trains."""
    low, high = min((value for value in values if value > 0), default=0.0), max(values)
    if min(values) > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high < 30 * low else LogLocator())
    elif low:
        axes.set_xscale("symlog", linthresh=low)
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
