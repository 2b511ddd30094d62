"""Permutation importance: how much worse a metric gets when a feature no longer says anything of its row.

Breiman (2001) permuted columns for random forests; Fisher, Rudin & Dominici (2019) did for any model. The interval
is over rows, by the Bayesian bootstrap, and over permutations or runs, as ``row_interval`` has it for runs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.preprocessing.permuted_features import Feature, Tensors
from experiments.compare.statistics.bayesian_bootstrap import Resamples
from experiments.compare.statistics.row_interval import variance_of_mean
from experiments.compare.statistics.student_t import quantile
from experiments.explain.explained_run import ExplainedRun
from lit_models.metrics.task_metrics import MEASURES, Measure

Array = NDArray[numpy.float64]

FEWEST_ROWS = 5
"""Rows of an interval."""


@dataclass(frozen=True)
class Importance:
    """How much worse the metric gets without a feature: negative where it gets better."""

    kind: str
    feature: str
    value: float  # mean over repeats, and over runs
    low: float  # 95 % interval of the mean; NaN below ``FEWEST_ROWS`` rows
    high: float
    area: tuple[slice, slice] | None = None  # that the feature has in every row, as ``Feature.area``


@dataclass(frozen=True)
class Explanation:
    """Importance of all features."""

    metric: str  # that ranks runs
    lower_is_better: bool
    baseline: float  # of rows as they are, a mean over runs
    importances: list[Importance]  # the most important feature first
    methods: list[str]  # how features are permuted, for people
    repeats: int  # permutations of each feature, in each run; 1 where nothing is drawn


def count_permutations(runs: Sequence[ExplainedRun], repeats: int) -> int:
    """Returns how often ``explain`` permutes a feature."""
    return len(runs) * sum(repeats if feature.is_random else 1 for feature in runs[0].features())


def explain(
    runs: Sequence[ExplainedRun], repeats: int, seed: int, advance: Callable[[], None] = lambda: None
) -> Explanation:
    """Computes the importance of every feature.

    Args:
        runs: Runs with the same rows and features.
        repeats: Permutations of each feature, others for each run.
        seed: Seed of the permutations.
        advance: Called after each permutation.
    """
    features, metric = runs[0].features(), runs[0].task.rank_by
    measure = MEASURES[runs[0].task.name][metric]
    sign = 1 if measure.lower_is_better else -1
    baselines, worse = [], list[list[Array]]()  # by run and feature
    for index, run in enumerate(runs):
        prediction = run.predictor.compute_raw(run.rows)
        scored = Scored(run, measure)
        baselines.append(scored.values(prediction)[0])
        seeds = range(seed + index * repeats, seed + (index + 1) * repeats)
        permuted = [_permuted(run, feature, prediction, scored, seeds, advance) for feature in run.features()]
        worse.append([sign * values for values in permuted])
    each = [
        _importance(feature, [of_run[index] for of_run in worse], len(runs[0].row))
        for index, feature in enumerate(features)
    ]
    each.sort(key=lambda importance: -numpy.nan_to_num(importance.value, nan=-numpy.inf))
    times = repeats if any(feature.is_random for feature in features) else 1
    methods = [*dict.fromkeys(feature.method for feature in features)]
    return Explanation(metric, measure.lower_is_better, float(numpy.mean(baselines)), each, methods, times)


class Scored:
    """A metric of predictions, on a run's rows and on each resample of them.

    Args:
        run: The run with its rows.
        measure: The metric.
    """

    def __init__(self, run: ExplainedRun, measure: Measure) -> None:
        self.measure = measure
        self.target: Array = run.task.metric_target(run.target).numpy()
        self.resamples = Resamples(run.row.numpy())

    def values(self, prediction: Tensor, order: Tensor | None = None) -> Array:
        """Computes the metric of predictions (N, ...): (1 + RESAMPLES,), first on the rows as they are.

        A row that has the feature of another one, by their order (N,), is in a resample as often as both: both are
        drawn. Without it, what the other rows add to the variance would be missing.
        """
        rows, other = (self.target, prediction.numpy()), None if order is None else order.numpy()
        resampled = (each if other is None else each * each[:, other] for each in self.resamples)
        return numpy.concatenate([self.measure(*rows), *(self.measure(*rows, weights) for weights in resampled)])


def _permuted(
    run: ExplainedRun,
    feature: Feature,
    prediction: Tensor,
    scored: Scored,
    seeds: Sequence[int],
    advance: Callable[[], None],
) -> Array:
    """Computes how permuting changes the metric (seeds, 1 + RESAMPLES), for one seed if nothing is drawn."""
    values = []
    for seed in seeds if feature.is_random else seeds[:1]:
        order = torch.randperm(len(run.row), generator=torch.Generator().manual_seed(seed))
        rows = feature.permuted(run.rows, order)
        changed = _changed(run.rows, rows)
        permuted = prediction.clone()
        if changed.any():  # most texts do not have a token
            permuted[changed] = run.predictor.compute_raw({name: tensor[changed] for name, tensor in rows.items()})
        others = order if feature.is_random else None
        values.append(scored.values(permuted, others) - scored.values(prediction, others))
        advance()
    return numpy.stack(values)


def _changed(rows: Tensors, others: Tensors) -> Tensor:
    """Returns which rows differ (N,) bool; NaN equals NaN."""
    changed = torch.zeros(len(rows["x"]), dtype=torch.bool)
    for name, tensor in rows.items():
        other = others[name]
        if other is not tensor:
            differs = (tensor != other) & ~((tensor != tensor) & (other != other))
            changed |= differs.view(len(tensor), -1).any(dim=1)
    return changed


def _importance(feature: Feature, of_runs: Sequence[Array], rows: int) -> Importance:
    """Returns the mean with its interval over rows, and over the repeats of one run, or over several runs."""
    units = of_runs[0] if len(of_runs) == 1 else numpy.stack([of_run.mean(axis=0) for of_run in of_runs])
    mean, half = float(units[:, 0].mean()), numpy.nan
    if rows >= FEWEST_ROWS and numpy.isfinite(units).all():
        variance = variance_of_mean(units, rows)
        half = float(quantile(variance.df)) * variance.total**0.5
    return Importance(feature.kind, feature.name, mean, mean - half, mean + half, feature.area)
