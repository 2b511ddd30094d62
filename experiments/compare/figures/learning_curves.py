"""Figure of learning curves: the validation metric over steps, mean and standard deviation over seeds."""

from collections.abc import Sequence

import numpy
from matplotlib.figure import Figure

from experiments.compare.comparison import Standing
from experiments.compare.groups import Block
from experiments.compare.seed_curves import read_curves
from experiments.figures.drawing import GROUP_COLORS, sheet


def figure(block: Block, standings: Sequence[Standing]) -> Figure | None:
    """Draws the curves of the best groups, eight at most; None where no run has logged any."""
    shown = standings[: len(GROUP_COLORS)]
    logged = [[read_curves(score.run.path) for score in standing.scores] for standing in shown]
    for name in (block.metric, block.groups[0].runs[0].rank_by):  # the first may not be logged in training
        curves = [[run[f"val/{name}"] for run in runs if f"val/{name}" in run] for runs in logged]
        if any(curves):
            break
    else:
        return None
    drawn, (axes,) = sheet(width=7.5, height=4.5)
    axes.grid(alpha=0.25)
    for standing, runs, color in zip(shown, curves, GROUP_COLORS, strict=False):
        if not runs:
            continue
        steps = sorted(set.intersection(*(set(run) for run in runs)))  # up to the shortest run's last step
        values = numpy.array([[run[step][0] for step in steps] for run in runs])
        mean = values.mean(axis=0)
        for run in runs if len(runs) > 1 else ():
            axes.plot(list(run), [value for value, _ in run.values()], color=color, alpha=0.2, linewidth=0.8)
        axes.plot(steps, mean, color=color, label=f"{standing.group.label} (n = {len(runs)})")
        if len(runs) > 1:
            sd = values.std(axis=0, ddof=1)
            axes.fill_between(steps, mean - sd, mean + sd, color=color, alpha=0.2, linewidth=0)
    best = f", the best {len(shown)} of {len(standings)} groups" if len(shown) < len(standings) else ""
    axes.set(xlabel="optimizer steps", ylabel=f"val/{name}")
    axes.set_title(f"{block.data}: mean ± sd over runs{best}", fontsize=10)
    axes.legend(fontsize=8, frameon=False)
    return drawn  # type: ignore[no-any-return]
