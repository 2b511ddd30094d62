"""A published table beside the figures of our own runs."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from experiments.compare.argument_defaults import default_of
from experiments.compare.configuration_identity import effective, spelled
from experiments.compare.groups import grouped
from experiments.compare.load_runs import AS_RUN, LeftOut, Run, once_per_seed
from experiments.compare.published_table_file import Paper, Row
from experiments.compare.scoring import score
from experiments.compare.table_formats import Sheet, defined, number
from lit_models.errors import ConfigError
from lit_models.metrics.task_metrics import MEASURES

REPEAT = r"(-split\d+)?-seed\d+"
"""Suffix that a sweep adds to a row's name."""


@dataclass(frozen=True)
class Outcome:
    """Results of a row's runs."""

    row: Row
    values: list[float]  # the metric of each run
    floor: tuple[float, str] | None = None  # mean and name of the best classical baseline on the same split
    lower: bool = False  # a lower metric is better
    parameters: int = 0
    seconds: float = math.nan

    @property
    def mean(self) -> float:
        """Mean over runs."""
        return fmean(self.values) if self.values else math.nan

    @property
    def sd(self) -> float:
        """Standard deviation over runs; NaN for fewer than two."""
        return stdev(self.values) if len(self.values) > 1 else math.nan

    @property
    def verdict(self) -> str:
        """Compares the mean with the published figure: ``the same`` within two standard errors over seeds."""
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
    """Returns the outcome of each row, and the runs that have a row's name but other options than its recipe.

    Raises:
        ConfigError: For a metric that the runs do not have.
    """
    found, left = [], []
    for row in paper.rows:
        named = [run for run in runs if re.fullmatch(re.escape(row.name) + REPEAT, run.path.name)]
        reasons = {run: _difference(row, run) for run in named}
        alike = sorted((run for run, reason in reasons.items() if not reason), key=lambda run: run.started)
        for run in alike:
            if run.fingerprints[0] != alike[-1].fingerprints[0]:
                reasons[run] = f"its data are not those of {alike[-1].name}, which is newer"
        left += [LeftOut(run.path, f"is not of this table: {reason}") for run, reason in reasons.items() if reason]
        matching, repeated = once_per_seed(run for run, reason in reasons.items() if not reason)
        left += repeated
        for run in matching:
            if paper.metric not in MEASURES.get(run.task, {}):
                raise ConfigError(f"{paper.path}: metric {paper.metric} is none of the task of {run.name}, {run.task}")
        scores, unscored = score(matching, paper.metric)
        left += unscored
        if not scores:
            found.append(Outcome(row, []))
            continue
        run = next(iter(scores))
        lower = MEASURES[run.task][paper.metric].lower_is_better
        floor = _floor(runs, run, paper.metric, lower)
        seconds = fmean(run.seconds for run in scores)
        found.append(Outcome(row, [each.value for each in scores.values()], floor, lower, run.parameters, seconds))
    return found, left


def sheet(paper: Paper, found: Sequence[Outcome]) -> Sheet:
    """Returns the table for people: our figures beside the published figures."""
    columns = ["row", "n", f"{paper.metric}, mean ± sd", "published", "ours is", "floor", "parameters", "seconds"]
    lower = any(outcome.lower for outcome in found)
    title = f"{paper.path.stem}: {paper.metric}, {'lower' if lower else 'higher'} is better"
    notes = [
        f"Published: {paper.source}.",
        *paper.protocol,
        "The same: within two standard errors of our mean, over seeds. Floor: the best classical baseline.",
        f"A row again: evenhand sweep --paper {paper.path} --rows ROW --seeds 0..4",
    ]
    return Sheet(title, columns, [_cells(outcome) for outcome in found], notes, texts=(0, 4), spare=(6, 7, 5))


def plain(found: Iterable[Outcome]) -> list[dict[str, Any]]:
    """Returns the rows for programs; an undefined number is None."""
    rows = []
    for outcome in found:
        floor, model = outcome.floor or (None, None)
        row = {"row": outcome.row.name, "n": len(outcome.values), "mean": outcome.mean, "sd": outcome.sd}
        row |= {"published": outcome.row.published, "verdict": outcome.verdict, "floor": floor, "floor_model": model}
        rows.append(defined(row | {"parameters": outcome.parameters, "seconds": outcome.seconds}))
    return rows


def _cells(outcome: Outcome) -> list[str]:
    row = outcome.row
    published = "–" if row.published is None else str(row.published)
    floor = f"{number(outcome.floor[0])} {outcome.floor[1]}" if outcome.floor else "–"
    if not outcome.values:
        return [row.name, "0", "–", published, "not run", floor, "–", "–"]
    ours = number(outcome.mean) + ("" if math.isnan(outcome.sd) else f" ± {number(outcome.sd)}")
    numbers = [f"{outcome.parameters:,}", f"{outcome.seconds:.1f}"]
    return [row.name, str(len(outcome.values)), ours, published, outcome.verdict or "–", floor, *numbers]


def _difference(row: Row, run: Run) -> str:
    """Returns the first option in which the run differs from the row, or an empty string."""
    settings = row.settings
    for name in effective(settings):
        value = settings[name]
        actual = run.settings[name] if name in run.settings else default_of(name, run.settings)
        if spelled(name, actual) != spelled(name, value) and name not in AS_RUN:
            return f"{name} is {actual}, and {value} in {row.config}"
    return ""


def _floor(runs: Iterable[Run], like: Run, metric: str, lower: bool) -> tuple[float, str] | None:
    """Returns the best baseline on a run's data and split; a baseline has no parameters trained by gradients."""
    fitted = [
        run for run in runs if not run.parameters and run.fingerprints == like.fingerprints and metric in run.metrics
    ]
    means = [
        (fmean(run.metrics[metric] for run in alike), str(alike[0].settings["model"]))
        for alike in grouped(fitted, lambda run: run.settings["model"])
    ]
    return (min if lower else max)(means, default=None)
