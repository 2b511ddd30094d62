"""Figure of a metric over its costs: training time and parameters."""

from collections.abc import Sequence

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from experiments.compare.comparison import Standing
from experiments.compare.groups import Block
from experiments.figures.drawing import GROUP_COLORS, sheet


def figure(block: Block, standings: Sequence[Standing]) -> Figure:
    """Draws each group's mean with its 95 % interval over seconds on the left, over parameters on the right."""
    drawn, panels = sheet(1, 2, 10, 4.5)
    shown = standings[: len(GROUP_COLORS)]
    costs: dict[str, list[float]] = {
        "seconds of training, mean over runs": [standing.seconds for standing in shown],
        "parameters": [standing.parameters for standing in shown],
    }
    for axes, (name, values) in zip(panels, costs.items(), strict=True):
        axes.grid(alpha=0.25)
        for standing, cost, color in zip(shown, values, GROUP_COLORS, strict=False):
            mean, _, low, high = standing.estimate
            half = 0.0 if numpy.isnan(low) else high - mean
            axes.errorbar(cost, mean, half, fmt="o", color=color, capsize=3, label=standing.group.label)
        _scale(axes, values)
        axes.set(xlabel=name, ylabel=f"test/{block.metric}")
    best = f", the best {len(shown)} of {len(standings)} groups" if len(shown) < len(standings) else ""
    drawn.suptitle(f"{block.data}: mean and its 95 % interval{best}", fontsize=10)
    handles, labels = panels[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=min(4, len(shown)), fontsize=8, frameon=False)
    return drawn  # type: ignore[no-any-return]


def _scale(axes: Axes, values: list[float]) -> None:
    """Sets a logarithmic x axis that also has 0, the number of parameters of a classical baseline."""
    low, high = min((value for value in values if value > 0), default=0.0), max(values)
    if min(values) > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high < 30 * low else LogLocator())
    elif low:
        axes.set_xscale("symlog", linthresh=low)
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
