"""Figure of the best validation metric over trials. Importing this file imports matplotlib."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy
from matplotlib.ticker import MaxNLocator

from experiments.figures.drawing import GROUP_COLORS, plain, sheet
from experiments.run.atomic_write import write_atomically
from experiments.sweep.budget import Budget, expected_best

FILE = "trials.png"


def write_figure(folder: Path, budgets: Sequence[Budget], limits: str) -> Path:
    """Writes a PNG into a folder: the expected best of random trials with its standard deviation, else the best so far.

    Args:
        folder: The folder.
        budgets: The trials of each contender.
        limits: What ended the trials of each, in words.

    Returns:
        The path.
    """
    figure, (axes,) = sheet(width=7.5, height=4.5)
    lowest, highest = [], []
    for budget, color in zip(budgets, GROUP_COLORS, strict=False):
        trials = numpy.arange(1, len(budget.values) + 1)
        axes.plot(trials, budget.values, ".", color=color, alpha=0.35, markersize=5)
        if budget.is_random:
            mean, sd = expected_best(budget.values, budget.is_higher_better)
            low, high = min(budget.values), max(budget.values)
            axes.fill_between(trials, (mean - sd).clip(low), (mean + sd).clip(max=high), color=color, alpha=0.15, lw=0)
        else:
            mean = numpy.array(budget.best_so_far())
        axes.plot(trials, mean, color=color, linewidth=1.5, label=plain(budget.name))
        lowest.append(min(mean))
        highest.append(max(mean))
    kind = "expected best, ± sd" if budgets[0].is_random else "best so far"
    space = 0.05 * (max(highest) - min(lowest)) or 0.05
    axes.set_ylim(min(lowest) - space, max(highest) + space)  # a trial that ended early may be far away
    axes.set(xlabel="trials", ylabel=plain(f"{budgets[0].metric} ({kind})"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, frameon=False)
    axes.set_title(f"{limits} for each; points are the trials", fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_atomically(folder / FILE, buffer.getvalue())
    return folder / FILE
