"""A published table beside our own figures."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from experiments.compare.load_runs import LeftOut, Run
from experiments.compare.published_table_file import Paper, Row
from experiments.compare.scoring import score
from experiments.compare.table_formats import Sheet
from lit_models.errors import ConfigError
from lit_models.metrics.task_metrics import MEASURES

REPEAT = r"(-split\d+)?-seed\d+"
"""What a sweep puts behind a row's name."""


@dataclass(frozen=True)
class Outcome:
    """What a row's runs have come to.

    Args:
        row: Which.
        values: The metric of each run; empty where there is none.
        floor: The mean of the best classical baseline on the same split, and its name; None where none was fitted.
        lower: Whether the metric is best when low.
        parameters: Of the runs.
        seconds: Their mean.
    """

    row: Row
    values: list[float]
    floor: tuple[float, str] | None = None
    lower: bool = False
    parameters: int = 0
    seconds: float = math.nan

    @property
    def mean(self) -> float:
        """Over runs."""
        return fmean(self.values) if self.values else math.nan

    @property
    def sd(self) -> float:
        """Over runs; NaN for fewer than two."""
        return stdev(self.values) if len(self.values) > 1 else math.nan

    @property
    def verdict(self) -> str:
        """How the mean stands to the figure, two standard errors of the mean over seeds being the measure."""
        if self.row.published is None or not self.values:
            return ""
        ahead = (self.mean - self.row.published) * (-1 if self.lower else 1)
        error = self.sd / math.sqrt(len(self.values))
        if math.isnan(error):
            return "one seed"
        if abs(ahead) <= 2 * error:
            return "the same"
        return "better" if ahead > 0 else "short"


def outcomes(paper: Paper, runs: Sequence[Run]) -> tuple[list[Outcome], list[LeftOut]]:
    """What the runs of every row have come to, and the runs of a row's name that are not the row's.

    A row's runs are those that ``evenhand sweep --paper`` has named after it, with all that its recipe sets.

    Raises:
        ConfigError: For a metric that the runs do not have.
    """
    found, left = [], []
    for row in paper.rows:
        named = [run for run in runs if re.fullmatch(re.escape(row.name) + REPEAT, run.path.name)]
        differing = [(run, _difference(row, run)) for run in named]
        left += [LeftOut(run.path, f"is not of this table: {why}") for run, why in differing if why]
        mine = [run for run, why in differing if not why]
        for run in mine:
            if paper.metric not in MEASURES.get(run.task, {}):
                raise ConfigError(f"{paper.path}: metric {paper.metric} is none of the task of {run.name}, {run.task}")
        scores, unscored = score(mine, paper.metric)
        left += unscored
        if not scores:
            found.append(Outcome(row, []))
            continue
        one = next(iter(scores))
        found.append(
            Outcome(
                row,
                [each.value for each in scores.values()],
                _floor(runs, one, paper.metric),
                MEASURES[one.task][paper.metric].lower_is_better,
                one.parameters,
                fmean(run.seconds for run in scores),
            )
        )
    return found, left


def sheet(paper: Paper, found: Sequence[Outcome]) -> Sheet:
    """The table for people: our figures beside the published ones."""
    columns = ["row", "n", f"{paper.metric}, mean ± sd", "published", "ours is", "floor", "parameters", "seconds"]
    lower = any(one.lower for one in found)
    title = f"{paper.path.stem}: {paper.metric}, {'lower' if lower else 'higher'} is better"
    notes = [
        f"Published: {paper.source}.",
        *paper.protocol,
        "The same: within two standard errors of our mean, over seeds. Floor: the best classical baseline.",
        f"A row again: evenhand sweep --paper {paper.path} --rows ROW --seeds 0..4",
    ]
    return Sheet(title, columns, [_cells(one) for one in found], notes, ragged=False)


def plain(found: Iterable[Outcome]) -> list[dict[str, Any]]:
    """The rows for programs; an undefined number is None."""
    return [
        {
            "row": one.row.name,
            "n": len(one.values),
            "mean": _defined(one.mean),
            "sd": _defined(one.sd),
            "published": one.row.published,
            "verdict": one.verdict,
            "floor": one.floor[0] if one.floor else None,
            "floor_model": one.floor[1] if one.floor else None,
            "parameters": one.parameters,
            "seconds": _defined(one.seconds),
        }
        for one in found
    ]


def _cells(one: Outcome) -> list[str]:
    published = "–" if one.row.published is None else str(one.row.published)
    floor = f"{one.floor[0]:.4f} {one.floor[1]}" if one.floor else "–"
    if not one.values:
        return [one.row.name, "0", "–", published, "not run", floor, "–", "–"]
    ours = f"{one.mean:.4f}" + ("" if math.isnan(one.sd) else f" ± {one.sd:.4f}")
    numbers = [f"{one.parameters:,}", f"{one.seconds:.1f}"]
    return [one.row.name, str(len(one.values)), ours, published, one.verdict or "–", floor, *numbers]


def _difference(row: Row, run: Run) -> str:
    """The first setting of the row that the run has not; empty where it has all."""
    for name, value in row.settings.items():
        has = run.settings.get(name)
        if str(has) != str(value) and not _equal_numbers(has, value):
            return f"{name} is {has}, and {value} in {row.config}"
    return ""


def _equal_numbers(one: object, other: object) -> bool:
    numbers = (int, float)
    return isinstance(one, numbers) and isinstance(other, numbers) and float(one) == float(other)


def _floor(runs: Iterable[Run], like: Run, metric: str) -> tuple[float, str] | None:
    """The best baseline, one without parameters that learn by gradients, on the data and the split of a run."""
    values: dict[str, list[float]] = {}
    for run in runs:
        if not run.parameters and run.fingerprints == like.fingerprints and metric in run.metrics:
            values.setdefault(str(run.settings["model"]), []).append(run.metrics[metric])
    means = [(fmean(each), name) for name, each in values.items()]
    best = min if MEASURES[like.task][metric].lower_is_better else max
    return best(means) if means else None


def _defined(value: float) -> float | None:
    return value if math.isfinite(value) else None
