"""Figures of a comparison, as PNG and SVG: learning curves, costs and ranks. Importing this file imports matplotlib."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy

from experiments.compare.comparison import Standing
from experiments.compare.critical_difference import Units, average_ranks, critical_difference, within
from experiments.compare.data_sets import data_sets
from experiments.compare.groups import Block
from experiments.compare.seed_curves import Curve, read_curves
from experiments.figures.drawing import GROUP_COLORS, folded, legend_columns, plain, sheet
from lit_models.errors import ConfigError

try:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter
except ModuleNotFoundError as error:
    raise ConfigError("--figures needs matplotlib; pip install '.[figures]' in the checkout") from error


def draw(compared: Sequence[tuple[Block, list[Standing]]], folder: Path) -> list[Path]:
    """Draws each block's learning curves, costs and ranks as PNG and SVG, as far as its runs have them.

    Ranks are averaged over several splits, else over seeds. Over data sets that are enough for a critical difference,
    they are also averaged over the data sets. Returns the paths of the files; those of a second block are ``curves-2``
    etc.

    Raises:
        ConfigError: If the folder cannot be written.
    """
    files = []
    for number, (block, standings) in enumerate(compared, start=1):
        figures = {
            "curves": draw_curves(block, standings),
            "costs": draw_costs(block, standings),
            "ranks": draw_ranks(within(block, standings), f"{block.data}, {block.metric}"),
        }
        for name, figure in figures.items():
            files += _save(figure, folder / (name if number == 1 else f"{name}-{number}"))
    if (together := data_sets(compared)) is not None and together.critical_difference is not None:
        files += _save(draw_ranks(together.units, "All data sets"), folder / "ranks-data-sets")
    return files


def _save(figure: Figure | None, stem: Path) -> list[Path]:
    if figure is None:
        return []
    files = [stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "svg")]
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        for path in files:
            figure.savefig(path, dpi=150, bbox_inches="tight")
    except OSError as error:
        raise ConfigError(f"--figures {stem.parent} cannot be written: {error.strerror}") from error
    return files


def draw_curves(
    block: Block, standings: Sequence[Standing], read: Callable[[Path], dict[str, Curve]] = read_curves
) -> Figure | None:
    """Draws the validation metric over steps, mean and standard deviation over runs; None if no run logged it.

    ``read`` returns the logged values of a run.
    """
    shown = standings[: len(GROUP_COLORS)]
    logged = [[read(score.run.path) for score in standing.scores] for standing in shown]
    for name in (block.metric, block.groups[0].runs[0].rank_by):  # the first may not be logged in training
        curves = [[run[f"val/{name}"] for run in runs if f"val/{name}" in run] for runs in logged]
        if any(runs and standing.parameters for runs, standing in zip(curves, shown, strict=True)):
            break
    else:
        return None
    drawn, (axes,) = sheet(width=7.5, height=4.5)
    axes.grid(alpha=0.25)
    for standing, runs, color in zip(shown, curves, GROUP_COLORS, strict=False):
        if not runs or not standing.parameters:  # a baseline has a point, and no curve
            continue
        steps = sorted(set.intersection(*(set(run) for run in runs)))  # up to the shortest run's last step
        values = numpy.array([[run[step][0] for step in steps] for run in runs])
        mean = values.mean(axis=0)
        for run in runs if len(runs) > 1 else ():
            axes.plot(list(run), [value for value, _ in run.values()], color=color, alpha=0.2, linewidth=0.8)
        axes.plot(steps, mean, color=color, label=folded(f"{standing.group.label} (n = {len(runs)})", 60))
        if len(runs) > 1:
            sd = values.std(axis=0, ddof=1)
            axes.fill_between(steps, mean - sd, mean + sd, color=color, alpha=0.2, linewidth=0)
    best = f", the best {len(shown)} of {len(standings)} groups" if len(shown) < len(standings) else ""
    axes.set(xlabel="optimizer steps", ylabel=plain(f"val/{name}"))
    axes.set_title(f"{plain(block.data)}: mean ± sd over runs{best}", fontsize=10)
    axes.legend(fontsize=8, frameon=False)
    return drawn  # type: ignore[no-any-return]


def draw_costs(block: Block, standings: Sequence[Standing]) -> Figure:
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
            interval = numpy.nan_to_num([[mean - low], [high - mean]])
            axes.errorbar(
                cost, mean, interval, fmt="o", color=color, capsize=3, label=folded(standing.group.label, 120)
            )
        _scale(axes, values)
        axes.set(xlabel=name, ylabel=plain(f"test/{block.metric}"))
    best = f", the best {len(shown)} of {len(standings)} groups" if len(shown) < len(standings) else ""
    drawn.suptitle(f"{plain(block.data)}: mean and its 95 % interval{best}", fontsize=10)
    handles, labels = panels[0].get_legend_handles_labels()
    drawn.legend(
        handles, labels, loc="outside lower center", ncols=legend_columns(labels, 160), fontsize=8, frameon=False
    )
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


def draw_ranks(units: Units, title: str) -> Figure | None:
    """Draws the critical-difference diagram of Demšar (2006), whose bars join groups that are not shown to differ.

    Returns None for a single group or a single unit, or if a value is undefined.
    """
    values, labels, noun = units
    if min(values.shape) < 2 or numpy.isnan(values).any():
        return None
    count = len(labels)
    ranks = average_ranks(values)
    order = ranks.argsort(kind="stable")
    apart = critical_difference(count, len(values))
    bars = _bars(ranks[order].tolist(), apart)
    half = (count + 1) // 2
    top = 0.5 + 0.35 * len(bars)
    drawn = Figure(figsize=(8, 1.6 + 0.3 * (top + half)), layout="constrained")
    axes = drawn.add_subplot()
    axes.set(xlim=(1 - 0.02 * count, 1.02 * count), ylim=(-(top + 0.8 * half + 0.3), 1.6))
    axes.axis("off")
    axes.plot([1, count], [0, 0], color="black", linewidth=1)
    for tick in range(1, count + 1):
        axes.plot([tick, tick], [0, 0.15], color="black", linewidth=1)
        axes.text(tick, 0.25, str(tick), ha="center", va="bottom", fontsize=8)
    for position, group in enumerate(order):
        is_left = position < half
        low = -(top + 0.8 * (position if is_left else count - 1 - position))
        side, align = (1, "right") if is_left else (count, "left")
        axes.plot([ranks[group], ranks[group], side], [0, low, low], color="black", linewidth=0.8)
        text = "\n".join(f" {line} " for line in folded(f"{labels[group]}  {ranks[group]:.2f}", 60).splitlines())
        axes.text(side, low, text, ha=align, va="center", fontsize=8)
    for level, (first, last) in enumerate(bars):
        axes.plot([first - 0.03, last + 0.03], [-0.35 * (level + 1)] * 2, color="black", linewidth=3)
    width = min(apart, count - 1)
    axes.plot([1, 1, 1 + width, 1 + width], [1.0, 1.1, 1.1, 1.0], color="black", linewidth=1)
    axes.text(1 + width / 2, 1.15, f"critical difference {apart:.2f}", ha="center", va="bottom", fontsize=8)
    axes.set_title(f"{plain(title)}: average rank over {len(values)} {noun}, Nemenyi p < 0.05", fontsize=10)
    return drawn


def _bars(ranks: Sequence[float], apart: float) -> list[tuple[float, float]]:
    """Returns the longest intervals of sorted ranks within the critical difference, each of at least two groups."""
    bars: list[tuple[float, float]] = []
    for first in ranks:
        last = max(rank for rank in ranks if first <= rank <= first + apart)
        if last > first and (not bars or last > bars[-1][1]):
            bars.append((first, last))
    return bars
