"""Learning curves: the validation metric over steps, the mean over seeds and a band of one standard deviation."""

from collections.abc import Sequence
from pathlib import Path

import numpy
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from experiments.compare.comparison import Standing
from experiments.compare.figures.style import COLORS, plot
from experiments.compare.groups import Block

Curve = dict[int, float]


def figure(block: Block, standings: Sequence[Standing]) -> Figure | None:
    """The best groups' curves, eight at most; None where no run has logged any."""
    shown = standings[: len(COLORS)]
    name = block.metric
    curves = [_curves(standing, name) for standing in shown]
    if not any(curves):  # a metric that was not logged in training
        name = block.groups[0].runs[0].rank_by
        curves = [_curves(standing, name) for standing in shown]
    if not any(curves):
        return None
    drawn, (axes,) = plot(7.5, 4.5)
    for standing, runs, color in zip(shown, curves, COLORS, strict=False):
        for run in runs if len(runs) > 1 else ():
            axes.plot(list(run), list(run.values()), color=color, alpha=0.2, linewidth=0.8)
        if not runs:
            continue
        steps = sorted(set.intersection(*(set(run) for run in runs)))  # as far as the shortest run went
        values = numpy.array([[run[step] for step in steps] for run in runs])
        mean = values.mean(axis=0)
        axes.plot(steps, mean, color=color, label=f"{standing.group.label} (n = {len(runs)})")
        if len(runs) > 1:
            sd = values.std(axis=0, ddof=1)
            axes.fill_between(steps, mean - sd, mean + sd, color=color, alpha=0.2, linewidth=0)
    axes.set_xlabel("optimizer steps")
    axes.set_ylabel(f"val/{name}")
    best = f", the best {len(shown)} of {len(standings)} groups" if len(shown) < len(standings) else ""
    axes.set_title(f"{block.data}: mean ± sd over runs{best}", fontsize=10)
    axes.legend(fontsize=8, frameon=False)
    return drawn


def _curves(standing: Standing, name: str) -> list[Curve]:
    return [curve for score in standing.scores if (curve := _curve(score.run.path, f"val/{name}"))]


def _curve(folder: Path, tag: str) -> Curve:
    """A run's scalars by step, the later one where a step was logged again."""
    if not any(folder.glob("events.out.tfevents.*")):
        return {}
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {event.step: event.value for event in events.Scalars(tag)} if tag in events.Tags()["scalars"] else {}
