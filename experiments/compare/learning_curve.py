"""Learning curves over the number of train rows, and whether more rows would help. Imports no torch."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from statistics import fmean

import numpy

from experiments.compare.groups import Group, grouped, name_groups
from experiments.compare.load_runs import Run
from experiments.compare.scoring import Score
from experiments.compare.statistics.power_law import FREEDOM, SIZES, PowerLaw, fit
from experiments.terminal import decimal
from lit_models.metrics.task_metrics import MEASURES

FRACTION = "data.train_fraction"

BY_ROWS = (
    *("data.normalize", "data.batch_size", "trainer.max_epochs"),
    "trainer.callbacks.EarlyStopping.patience",
)
"""Options that ``fit`` chooses by the number of train rows, and that differ along a curve unless they are typed."""

MATTERS = 0.02
"""Fraction of the error that twice the rows have to take away in order to be worth having."""


@dataclass(frozen=True)
class LearningCurve:
    """Errors of one configuration at several numbers of train rows, fewest first."""

    name: str
    data: str
    error_name: str  # the metric if less is better, else 1 - metric
    rows: list[int]
    errors: list[list[float]]  # of the seeds at each number, or means over the seeds of each split

    @cached_property
    def law(self) -> PowerLaw | None:
        """The power law of the points; None with too few of them."""
        return fit(self.rows, self.errors)

    def answer(self) -> str:
        """Returns a sentence on whether more rows would help."""
        question = f"would more data help {self.name}?"
        law, times = self.law, f"with twice the {self.rows[-1]:,} train rows, {self.error_name}"
        if len(self.rows) < SIZES:
            return f"{question} {len(self.rows)} numbers of rows tell no power law; give {SIZES} to {FRACTION}"
        if not all(sum(each) > 0 for each in self.errors):
            return f"{question} No: with some of the rows, {self.error_name} is 0 already"
        if law is None:
            return f"{question} Single runs do not tell chance from learning; add --seeds 0..{FREEDOM // SIZES + 1}"
        if not law.is_followed:
            return (
                f"{question} It cannot be told: the points follow no power law, and one is {_percent(law.misfit)} off; "
                "are the runs of few rows trained to their end?"
            )
        reduction = law.reduction()
        low, high = numpy.quantile(reduction[1:], [0.025, 0.975])
        fall = f"would fall by {_percent(reduction[0])} (95 % interval {_percent(low)} to {_percent(high)})"
        if low >= MATTERS:
            return f"{question} Yes: {times} {fall}, to about {decimal(float(law.error(2 * law.largest)[0, 0]))}"
        return (
            f"{question} Hardly: {times} {fall}" if high < MATTERS else f"{question} Perhaps: {times} {fall}; add seeds"
        )


def learning_curves(runs: Mapping[Run, str]) -> list[list[LearningCurve]]:
    """Returns the learning curves of finished runs by their names, those of one data set and metric together.

    A curve has the numbers of rows that all its splits have, at least two of them, at which the metric is defined.
    """
    blocks = grouped(runs, lambda run: (run.data, run.task, run.rows_fingerprint, run.rank_by))
    found = []
    for block in blocks:
        alike = grouped(block, runs.__getitem__)
        curves = [curve for each in alike if (curve := _curve(runs[each[0]], each)) is not None]
        found += [curves] if curves else []
    return found


def learning_curves_of(scores: Iterable[Score], metric: str) -> list[LearningCurve]:
    """Returns the learning curves of networks with comparable test rows, by a metric; empty without any.

    The runs of a curve have all options in common but the fraction of train rows, the seeds, and those of ``BY_ROWS``
    that nobody varied: they have one value at each fraction.
    """
    runs = [replace(score.run, metrics=score.metrics, rank_by=metric) for score in scores if score.run.parameters]
    alike = [(each, names) for each, names in _alike(runs) if len({*map(_fraction, each)}) > 1]
    groups = [
        Group([replace(run, settings={name: run.settings[name] for name in run.settings if name not in names})])
        for (run, *_), names in alike
    ]
    name_groups(groups)
    curves = [_curve(group.label, each) for group, (each, _) in zip(groups, alike, strict=True)]
    return [curve for curve in curves if curve is not None]


def _alike(runs: Sequence[Run]) -> Iterator[tuple[list[Run], tuple[str, ...]]]:
    """Yields runs that differ in their fraction of train rows, and the options in which they differ because of it."""
    for alike in grouped(runs, lambda run: _identity(run, (FRACTION, *BY_ROWS))):
        parts, varied = [alike], list[str]()
        for name in BY_ROWS:
            at_fractions = [same for part in parts for same in grouped(part, _fraction)]
            if any(len({_setting(name, run) for run in same}) > 1 for same in at_fractions):
                varied.append(name)
                parts = [same for part in parts for same in grouped(part, partial(_setting, name))]
        names = tuple(name for name in (FRACTION, *BY_ROWS) if name not in varied)
        for part in parts:
            yield part, names


def _identity(run: Run, without: Sequence[str]) -> frozenset[tuple[str, str]]:
    return frozenset(item for item in run.configuration.items() if item[0] not in without)


def _setting(name: str, run: Run) -> str | None:
    return run.configuration.get(name)


def _fraction(run: Run) -> float:
    return float(run.settings.get(FRACTION, 1))


def _curve(name: str, runs: Sequence[Run]) -> LearningCurve | None:
    first = runs[0]
    lower = MEASURES[first.task][first.rank_by].lower_is_better
    splits = {run.split for run in runs}
    points: dict[int, list[float]] = {}
    for alike in grouped(runs, _fraction):
        of_split = grouped(alike, lambda run: run.split)
        values = [[run.metrics.get(run.rank_by, numpy.nan) for run in same] for same in of_split]
        errors = [[value if lower else 1 - value for value in each] for each in values]
        units = errors[0] if len(splits) == 1 else [fmean(each) for each in errors]
        if len(of_split) == len(splits) and not numpy.isnan(units).any():
            points[round(fmean(run.rows["train"] for run in alike))] = units
    rows = sorted(points)
    error = first.rank_by if lower else f"1 - {first.rank_by}"
    return LearningCurve(name, first.data, error, rows, [points[count] for count in rows]) if len(rows) > 1 else None


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.{0 if fraction >= MATTERS else 1}f} %"
