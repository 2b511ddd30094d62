"""Ensembles of a group's runs: the mean of their predictions of the test rows, scored as one model."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy
from numpy.typing import NDArray

from experiments.compare.groups import Block, Group
from experiments.compare.load_runs import Run
from experiments.compare.read_predictions import mean_predictions
from experiments.compare.statistics.bayesian_bootstrap import Resamples
from experiments.compare.statistics.pairwise_tests import estimate
from experiments.compare.statistics.row_interval import row_interval
from lit_models.metrics.task_metrics import MEASURES


@dataclass(frozen=True)
class Ensemble:
    """Mean of the predictions of a group's runs on each split."""

    members: tuple[int, ...]  # number of runs on each split
    mean: float  # of the compared metric, over splits
    low: float  # 95 % interval over test rows, or over several splits
    high: float
    metrics: dict[str, float]  # means over splits of all metrics of the task
    parameters: int  # of all members on one split
    seconds: float  # training time of all members on one split
    flops: int | None = None  # of one forward pass of one row of all members on one split, if each has it


def ensemble(block: Block, group: Group) -> Ensemble | None:
    """Averages the predictions of a group's runs and scores them; returns None if a split has a single run."""
    by_split = [[run for run in group.runs if run.split == split] for split in block.splits]
    if min(map(len, by_split)) < 2:
        return None
    scored = [_scored(runs, block.metric) for runs in by_split]
    sample = [values[None] for _, values in scored]
    rows, ratio = group.runs[0].rows["test"], group.runs[0].rows["test"] / max(group.runs[0].rows["train"], 1)
    measure = MEASURES[block.task][block.metric]
    mean, _, low, high = estimate(sample, ratio, measure.limits)
    if len(sample) == 1:
        low, high = row_interval(sample[0], rows, measure)
    counts = [[run.flops for run in runs if run.flops is not None] for runs in by_split]
    return Ensemble(
        members=tuple(map(len, by_split)),
        mean=mean,
        low=low,
        high=high,
        metrics={name: fmean(metrics[name] for metrics, _ in scored) for name in scored[0][0]},
        parameters=max(sum(run.parameters for run in runs) for runs in by_split),
        seconds=fmean(sum(run.seconds for run in runs) for runs in by_split),
        flops=max(map(sum, counts)) if sum(map(len, counts)) == len(group.runs) else None,
    )


def _scored(runs: Sequence[Run], metric: str) -> tuple[dict[str, float], NDArray[numpy.float64]]:
    """Returns all metrics of the mean prediction, and the compared one (1 + RESAMPLES,), resampled too."""
    measures, task = MEASURES[runs[0].task], runs[0].task
    mean = mean_predictions([run.path for run in runs], task, [run.threshold for run in runs])
    rows = mean.target, mean.prediction
    metrics = {name: float(measure(*rows, threshold=mean.threshold)[0]) for name, measure in measures.items()}
    resampled = [measures[metric](*rows, weights, mean.threshold) for weights in Resamples(mean.row)]
    return metrics, numpy.concatenate([[metrics[metric]], *resampled])
