"""Intervals over test rows: their coverage by simulation, and their limits."""

from functools import lru_cache
from typing import Any

import numpy
import pytest
from scipy import stats

from experiments.compare.statistics.bayesian_bootstrap import Resamples
from experiments.compare.statistics.row_interval import MIN_ROWS, difference, row_interval
from lit_models.metrics.task_metrics import MEASURES

ACCURACY, RMSE = MEASURES["binary"]["accuracy"], MEASURES["regression"]["rmse"]
MAE, AUROC = MEASURES["regression"]["mae"], MEASURES["binary"]["auroc"]
BOTH = pytest.mark.parametrize("simulations", [60, pytest.param(1000, marks=pytest.mark.slow)])


def few(simulations: int) -> float:
    """Returns the number of intervals that contain the truth, of so many at 95 %, in all but 1 of 1,000 cases."""
    return float(stats.binom.ppf(0.001, simulations, 0.95))


@lru_cache
def normalized_weights(rows: int) -> Any:
    weights = numpy.concatenate([*Resamples(numpy.arange(rows))])
    return (weights / weights.sum(axis=1, keepdims=True)).T


def weighted_means(rows: Any) -> Any:
    """Returns means of values (N,) or (n, N) over rows, and over resamples of the rows: (n, 1 + RESAMPLES)."""
    rows = numpy.atleast_2d(rows)
    return numpy.column_stack([rows.mean(axis=1), rows @ normalized_weights(rows.shape[1])])


def covered(draw: Any, rows: int, measure: Any, truth: float, simulations: int) -> int:
    """Counts the intervals that contain the truth."""
    generator, hits = numpy.random.default_rng(3), 0
    for _ in range(simulations):
        low, high = row_interval(draw(generator), rows, measure)
        hits += low <= truth <= high
    return hits


@BOTH
@pytest.mark.parametrize(("rows", "accuracy"), [(5, 0.9), (20, 0.5), (40, 0.97), (300, 0.8)])
def test_accuracies_of_slices_are_covered(rows: int, accuracy: float, simulations: int) -> None:
    """Also of few rows, and near 1, where all of them may be right."""

    def draw(generator: numpy.random.Generator) -> Any:
        return weighted_means(generator.random(rows) < accuracy)

    assert covered(draw, rows, ACCURACY, accuracy, simulations) >= few(simulations)


@pytest.mark.parametrize(("rows", "accuracy"), [(5, 0.9), (10, 0.7), (20, 0.5), (40, 0.97), (60, 0.8)])
def test_the_exact_coverage_of_an_accuracy_is_95_percent(rows: int, accuracy: float) -> None:
    """Summed over every number of right rows, with its binomial probability."""
    total = 0.0
    for right in range(rows + 1):
        low, high = row_interval(weighted_means(numpy.arange(rows) < right), rows, ACCURACY)
        total += stats.binom.pmf(right, rows, accuracy) * (low <= accuracy <= high)
    assert total >= 0.945


@BOTH
@pytest.mark.parametrize("rows", [100, 300])
def test_errors_of_slices_are_covered(rows: int, simulations: int) -> None:
    def draw(generator: numpy.random.Generator) -> Any:
        return numpy.sqrt(weighted_means(generator.normal(0, 2, rows) ** 2))

    def draw_absolute(generator: numpy.random.Generator) -> Any:
        return weighted_means(generator.exponential(2, rows))

    assert covered(draw, rows, RMSE, 2, simulations) >= few(simulations)
    assert covered(draw_absolute, rows, MAE, 2, simulations) >= few(simulations)


@BOTH
def test_accuracies_of_several_seeds_are_covered(simulations: int) -> None:
    """Each seed has an accuracy of its own, and rows differ in how difficult they are."""
    seeds, rows = 4, 80

    def draw(generator: numpy.random.Generator) -> Any:
        skill, difficulty = generator.normal(1, 0.3, (seeds, 1)), generator.normal(0, 1, rows)
        return weighted_means(skill + difficulty + generator.normal(0, 1, (seeds, rows)) > 0)

    truth = stats.norm.cdf(1 / numpy.sqrt(0.3**2 + 2))
    assert covered(draw, rows, ACCURACY, truth, simulations) >= few(simulations)


@BOTH
def test_differences_of_two_slices_are_covered(simulations: int) -> None:
    generator, hits = numpy.random.default_rng(3), 0
    for _ in range(simulations):
        ends = []
        for rows, accuracy in ((30, 0.7), (200, 0.9)):
            values = weighted_means(generator.random(rows) < accuracy)
            ends.append((float(values[0, 0]), *row_interval(values, rows, ACCURACY)))
        low, high = difference(*ends)
        hits += low <= -0.2 <= high
    assert hits >= few(simulations)


@pytest.mark.parametrize("right", [0, 30])
def test_all_right_or_all_wrong_is_wilsons_interval(right: int) -> None:
    values = weighted_means(numpy.arange(30) < right)
    z = stats.t.ppf(0.975, 29)
    low, high = row_interval(values, 30, ACCURACY)
    assert (low, high) == pytest.approx((0, z**2 / (30 + z**2)) if right == 0 else (30 / (30 + z**2), 1))


def test_where_nothing_is_known_there_is_no_interval() -> None:
    four, enough = weighted_means(numpy.ones(4)), weighted_means(numpy.ones(60))
    assert numpy.isnan(row_interval(four, 4, ACCURACY)).all()
    assert numpy.isnan(row_interval(enough, MIN_ROWS - 1, RMSE)).all()
    assert numpy.isnan(row_interval(enough, 60, AUROC)).all()  # of a class with one row it may be 1 too
    assert numpy.isnan(row_interval(numpy.full((1, 201), numpy.nan), 60, ACCURACY)).all()


def test_an_error_is_never_negative_and_a_bounded_metric_within_its_bounds() -> None:
    generator = numpy.random.default_rng(0)
    for _ in range(50):
        low, _ = row_interval(weighted_means(generator.lognormal(0, 3, 120)), 120, MAE)
        assert low >= 0
        low, high = row_interval(2 * weighted_means(generator.random(8) < 0.9) - 1, 8, MEASURES["binary"]["mcc"])
        assert numpy.isnan(low) or -1 <= low <= high <= 1
