"""Slices of test rows by the values of a column, and a metric in each of them with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
import polars
from numpy.typing import NDArray

from experiments.compare.groups import Block, Group
from experiments.compare.read_predictions import Predictions, read_predictions
from experiments.compare.statistics.bayesian_bootstrap import Resamples
from experiments.compare.statistics.row_interval import difference, row_interval
from lit_models.metrics.task_metrics import MEASURES

Array = NDArray[numpy.float64]
Rows = NDArray[numpy.bool_]
LEVEL = 0.05
BINS = 4
"""Bins of a column of numbers or dates, with equally many rows as far as values differ."""
FEW_VALUES = 10
"""Numbers of at most so many different values are taken as categories."""
MIN_ROWS = 20
"""Values of a column of many categories with fewer rows are one slice together."""


@dataclass(frozen=True)
class Slice:
    """Some of the test rows."""

    name: str
    rows: Rows  # (N,) True for rows of the slice


@dataclass(frozen=True)
class SliceScore:
    """A metric of a group's runs on a slice, as a mean over runs."""

    name: str
    rows: int
    value: float
    low: float  # 95 % interval over test rows, and over seeds of several runs; NaN with too few rows
    high: float
    gap: float  # value minus that of all other rows
    gap_low: float  # interval of the gap at 95 % for all slices together
    gap_high: float


def slices_of(column: polars.Series) -> list[Slice]:
    """Divides rows by a column (N,): by its categories, or by quantiles of its numbers or dates.

    Missing values are a slice of their own. Rare values of many are a slice together.
    """
    column = column.fill_nan(None) if column.dtype.is_float() else column
    there = column.is_not_null()
    is_ordered = column.dtype.is_numeric() or column.dtype.is_temporal()
    if is_ordered and column.drop_nulls().n_unique() > FEW_VALUES:
        slices = _bins(column, there.to_numpy())
    else:
        slices = _categories(column)
    missing = ~there.to_numpy()
    return [*slices, Slice("missing", missing)] if missing.any() else slices


def _bins(column: polars.Series, there: Rows) -> list[Slice]:
    numbers = column.to_physical().cast(polars.Float64).fill_null(numpy.nan).to_numpy()
    quantiles = numpy.quantile(numbers[there], numpy.arange(1, BINS) / BINS, method="lower")
    index = numpy.where(there, numpy.unique(quantiles).searchsorted(numbers), -1)
    slices = []
    for number in numpy.unique(index[there]):
        inside = index == number
        low, high = (_text(end) for end in (column.filter(inside).min(), column.filter(inside).max()))
        slices.append(Slice(low if low == high else f"{low} to {high}", inside))
    return slices


def _categories(column: polars.Series) -> list[Slice]:
    counts = column.drop_nulls().value_counts(sort=True)
    values, rows = counts[column.name].to_list(), counts["count"].to_list()
    rare = {value for value, count in zip(values, rows, strict=True) if count < MIN_ROWS}
    if len(values) <= FEW_VALUES or len(rare) < 2:
        rare = set()
    slices = [Slice(_text(value), _equal(column, [value])) for value in values if value not in rare]
    others = [Slice(f"{len(rare):,} other values", _equal(column, [*rare]))] if rare else []
    return [*slices, *others]


def _equal(column: polars.Series, values: Sequence[object]) -> Rows:
    chosen = polars.Series(values, dtype=column.dtype)
    return column.is_in(chosen.implode()).fill_null(False).to_numpy()


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def score_slices(block: Block, group: Group, slices: Sequence[Slice]) -> list[SliceScore]:
    """Scores a group's runs on slices of their test rows, the furthest behind the other rows first.

    Slices with too few rows for an interval come last.
    """
    measure, predictions = (
        MEASURES[block.task][block.metric],
        [read_predictions(run.path, block.task, run.threshold) for run in group.runs],
    )
    scores = []
    for each in slices:
        inside, outside = (values_on(rows, predictions, block) for rows in (each.rows, ~each.rows))
        count = int(each.rows.sum())
        interval = row_interval(inside, count, measure)
        level = LEVEL / max(1, len(slices))
        value, other = float(inside[:, 0].mean()), float(outside[:, 0].mean())
        ours, theirs = (
            row_interval(inside, count, measure, level),
            row_interval(outside, len(each.rows) - count, measure, level),
        )
        low, high = difference((value, *ours), (other, *theirs))
        scores.append(SliceScore(each.name, count, value, *interval, value - other, low, high))
    return sorted(scores, key=lambda score: (numpy.isnan(score.low), _last_if_nan(block.sign * score.gap)))


def values_on(rows: Rows, predictions: Sequence[Predictions], block: Block) -> Array:
    """Computes the block's metric of each run on some rows, and on resamples of them: (n, 1 + RESAMPLES)."""
    measure = MEASURES[block.task][block.metric]
    if not rows.any():
        return numpy.full((len(predictions), 2), numpy.nan)
    resamples = Resamples(predictions[0].row[rows])
    values = []
    for each in predictions:
        target, prediction = each.target[rows], each.prediction[rows]
        resampled = [measure(target, prediction, weights, each.threshold) for weights in resamples]
        values.append(numpy.concatenate([measure(target, prediction, None, each.threshold), *resampled]))
    return numpy.stack(values)


def _last_if_nan(value: float) -> float:
    return numpy.inf if numpy.isnan(value) else value
