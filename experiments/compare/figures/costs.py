"""What a group reaches against what it costs: seconds of training, and parameters."""

from collections.abc import Sequence

import numpy
from matplotlib.figure import Figure

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
        axes.set_xscale("log" if min(values) > 0 else "symlog")
        axes.set_xlabel(name)
        axes.set_ylabel(f"test/{block.metric}")
    best = f", the best {len(shown)} of {len(standings)} groups" if len(shown) < len(standings) else ""
    drawn.suptitle(f"{block.data}: mean and its 95 % interval{best}", fontsize=10)
    handles, labels = panels[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=min(4, len(shown)), fontsize=8, frameon=False)
    return drawn
