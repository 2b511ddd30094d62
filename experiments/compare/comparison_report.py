"""What a comparison says: sheets for people, plain values for programs."""

import math
from collections.abc import Sequence
from typing import Any

from experiments.compare.comparison import LEVEL, Standing
from experiments.compare.groups import Block, differing
from experiments.compare.load_runs import LeftOut
from experiments.compare.table_formats import Sheet
from lit_models.metrics.task_metrics import MEASURES

Compared = tuple[Block, list[Standing]]

SORTS = ("metric", "label", "n", "sd", "parameters", "seconds")
"""What ``--sort`` takes; the metric's best first, of everything else the least."""


def sheet(compared: Compared, number: int, why: str) -> Sheet:
    """A block as a table.

    Args:
        compared: The block and its standings.
        number: Which of the blocks, from 1; 0 where it is the only one.
        why: Why it is not compared with the first; empty for that itself.
    """
    block, standings = compared
    columns = ["group", "n", block.metric, "sd", "95 % interval", "best", "median", "parameters", "seconds"]
    columns += ["to the best", "the best is"]
    rows = [_row(standing) for standing in standings]
    title = heading(block, number) + (f"; not compared with the first: {why}" if why else "")
    return Sheet(title, columns, rows, notes(compared), parts=((0, 1, 2, 3, 4, 7, 8), (0, 9, 10), (0, 5, 6)))


def heading(block: Block, number: int) -> str:
    """What a block compares, in one line."""
    rows, splits = block.groups[0].runs[0].rows["test"], len(block.splits)
    direction = "lower" if MEASURES[block.task][block.metric].lower_is_better else "higher"
    which = f"{number}. " if number else ""
    return (
        f"{which}{block.data}: {block.metric}, {direction} is better, on {rows:,} test rows of {splits} "
        f"split{'s' if splits > 1 else ''}"
    )


def notes(compared: Compared) -> list[str]:
    """What the numbers state, and what else differs between the runs."""
    block, standings = compared
    several = len(block.splits) > 1
    over = "t over splits, corrected for shared train rows" if several else "t over seeds, about these test rows"
    said = [f"95 % interval: {over}."]
    if len(standings) > 1:
        said.append(
            "To the best: difference of the means ± half its 95 % interval over seeds and test rows. "
            f"Better: p < {LEVEL} over both, Holm-corrected over all pairs of groups."
        )
    for what in ("commits", "devices", "precisions"):
        values = {score.run.identity[what] for standing in standings for score in standing.scores}
        if len(values) > 1:
            said.append(f"The runs have different {what}: {', '.join(sorted(values)[:5])}.")
    return said


def changes(compared: Compared, number: int) -> Sheet:
    """A block's groups and only the settings in which they differ, with each group's seeds."""
    block, standings = compared
    names = differing([standing.group for standing in standings])
    rows = [
        [
            standing.group.label,
            *(str(standing.group.settings.get(name, "–")) for name in names),
            ", ".join(sorted({str(score.run.settings.get("seed", "–")) for score in standing.scores}, key=_in_order)),
        ]
        for standing in standings
    ]
    return Sheet(heading(block, number), ["group", *names, "seed"], rows, texts=len(names) + 2)


def plain(compared: Compared, why: str) -> dict[str, Any]:
    """A block for JSON; an undefined number is None."""
    block, standings = compared
    groups = []
    for standing in standings:
        runs = [
            {"run": str(score.run.path), "seed": score.run.settings.get("seed"), "split": score.run.split}
            | {"metrics": _defined(score.metrics), "seconds": score.run.seconds}
            for score in standing.scores
        ]
        groups.append(flat(standing) | {"settings": standing.group.settings, "runs": runs})
    return {
        "data": block.data,
        "task": block.task,
        "metric": block.metric,
        "splits": list(block.splits),
        "test_rows": block.groups[0].runs[0].rows["test"],
        "unlike_the_first": why or None,
        "notes": notes(compared),
        "groups": groups,
    }


def flat(standing: Standing) -> dict[str, Any]:
    """A group's numbers under their names, with the means of all the task's metrics."""
    numbers = standing.estimate._asdict() | {"difference": standing.difference, "margin": standing.margin}
    return {
        "group": standing.group.label,
        "n": len(standing.scores),
        **_defined({**numbers, "p": standing.p}),
        "verdict": standing.verdict,
        "best_run": str(standing.best.run.path),
        "median_run": str(standing.median.run.path),
        "parameters": standing.parameters,
        "seconds": standing.seconds,
        **_defined(standing.metrics),
    }


def in_order(standings: Sequence[Standing], by: str) -> list[Standing]:
    """Sorted by one of ``SORTS``."""
    if by == "metric":
        return list(standings)
    keys = {
        "label": lambda one: one.group.label,
        "n": lambda one: len(one.scores),
        "sd": lambda one: (math.isnan(one.estimate.sd), one.estimate.sd),
        "parameters": lambda one: one.parameters,
        "seconds": lambda one: one.seconds,
    }
    return sorted(standings, key=keys[by])


def left_out(left: Sequence[LeftOut]) -> list[str]:
    """A line for each run that is not compared."""
    lines = [f"  {one.path}: {one.reason}" for one in left]
    return [f"{len(left)} run{'s' if len(left) > 1 else ''} left out:", *lines] if left else []


def _row(standing: Standing) -> list[str]:
    told = standing.estimate
    against = f"{standing.difference:+.4f} ± {standing.margin:.4f}".replace(" ± nan", "")
    verdict = standing.verdict if math.isnan(standing.p) else f"{standing.verdict} ({_p(standing.p)})"
    return [
        standing.group.label,
        str(len(standing.scores)),
        _number(told.mean),
        _number(told.sd),
        "–" if math.isnan(told.low) else f"{_number(told.low)} to {_number(told.high)}",
        f"{_number(standing.best.value)} {standing.best.run.path.name}",
        f"{_number(standing.median.value)} {standing.median.run.path.name}",
        f"{standing.parameters:,}",
        f"{standing.seconds:.1f}",
        "" if standing.verdict in ("best", "nothing to compare with") else against.replace("nan", "–"),
        verdict,
    ]


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:,.1f}" if abs(value) >= 1e4 else f"{value:.4f}"


def _defined(values: dict[str, float]) -> dict[str, float | None]:
    return {name: float(value) if math.isfinite(value) else None for name, value in values.items()}


def _in_order(seed: str) -> tuple[int, str]:
    return len(seed), seed
