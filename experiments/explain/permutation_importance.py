"""Permutation importance: how much worse a metric gets when a feature no longer says anything of its row.

Breiman (2001) permuted columns for random forests; Fisher, Rudin & Dominici (2019) did for any model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.preprocessing.permuted_features import Feature, Tensors
from experiments.compare.statistics.student_t import t95
from experiments.explain.explained_run import ExplainedRun
from lit_models.metrics.task_metrics import MEASURES

Array = NDArray[numpy.float64]

FEWEST = 3
"""Values of an interval."""


@dataclass(frozen=True)
class Importance:
    """How much worse the metric gets without a feature: negative where it gets better."""

    kind: str
    feature: str
    value: float  # mean over repeats, and over runs
    low: float  # 95 % interval of the mean, by Student's t; NaN below ``FEWEST`` values
    high: float
    values: Array  # of each repeat, or of several runs the mean of each


@dataclass(frozen=True)
class Explanation:
    """Importance of all features."""

    metric: str  # that ranks runs
    lower_is_better: bool
    baseline: float  # of rows as they are, a mean over runs
    importances: list[Importance]  # the most important feature first
    methods: list[str]  # how features are permuted, for people


def explain(runs: Sequence[ExplainedRun], repeats: int, seed: int) -> Explanation:
    """Computes the importance of every feature.

    Args:
        runs: Runs with the same rows and features.
        repeats: Permutations of each feature, others for each run.
        seed: Seed of the permutations.
    """
    features, metric = runs[0].features(), runs[0].task.rank_by
    measure = MEASURES[runs[0].task.name][metric]
    sign = 1 if measure.lower_is_better else -1
    baselines, worse = [], list[list[Array]]()  # by run and feature, of each repeat
    for index, run in enumerate(runs):
        prediction = run.predictor.compute_raw(run.rows)
        baselines.append(run.rank(prediction))
        seeds = range(seed + index * repeats, seed + (index + 1) * repeats)
        values = [_permuted(run, feature, prediction, seeds) for feature in run.features()]
        worse.append([sign * (value - baselines[-1]) for value in values])
    each = [_importance(feature, [of_run[index] for of_run in worse]) for index, feature in enumerate(features)]
    each.sort(key=lambda importance: -numpy.nan_to_num(importance.value, nan=-numpy.inf))
    methods = [*dict.fromkeys(feature.method for feature in features)]
    return Explanation(metric, measure.lower_is_better, float(numpy.mean(baselines)), each, methods)


def _permuted(run: ExplainedRun, feature: Feature, prediction: Tensor, seeds: Sequence[int]) -> Array:
    """Computes the metric with the feature permuted, for each seed; once if nothing is drawn."""
    values = []
    for seed in seeds if feature.is_random else seeds[:1]:
        rows = feature.permuted(run.rows, torch.Generator().manual_seed(seed))
        changed = _changed(run.rows, rows)
        permuted = prediction.clone()
        if changed.any():  # most texts do not have a token
            permuted[changed] = run.predictor.compute_raw({name: tensor[changed] for name, tensor in rows.items()})
        values.append(run.rank(permuted))
    return numpy.array(values)


def _changed(rows: Tensors, others: Tensors) -> Tensor:
    """Returns which rows differ (N,) bool; NaN equals NaN."""
    changed = torch.zeros(len(rows["x"]), dtype=torch.bool)
    for name, tensor in rows.items():
        other = others[name]
        if other is not tensor:
            differs = (tensor != other) & ~((tensor != tensor) & (other != other))
            changed |= differs.view(len(tensor), -1).any(dim=1)
    return changed


def _importance(feature: Feature, of_runs: Sequence[Array]) -> Importance:
    values = of_runs[0] if len(of_runs) == 1 else numpy.array([of_run.mean() for of_run in of_runs])
    mean, half = float(values.mean()), numpy.nan
    if len(values) >= FEWEST:
        half = t95(len(values) - 1) * float(values.std(ddof=1)) / len(values) ** 0.5
    return Importance(feature.kind, feature.name, mean, mean - half, mean + half, values)
