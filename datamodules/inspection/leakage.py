"""Scores of each column alone, and suspicions of a leak: rules of thumb for a person to judge."""

from collections.abc import Mapping

import numpy
import polars
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.inspection.summary_columns import InspectionSample
from datamodules.tables.casting import encode, to_days, to_numbers

ALMOST_ALL = 0.95
"""A column that alone explains this fraction of the target's variation on validation rows is suspicious."""

BINS = 64  # numbers are binned by so many quantiles
MOST = 100_000  # at most so many rows of a split are used to test a number


def single_columns(sample: InspectionSample, classes: int | None) -> dict[str, float]:
    """Returns the fraction of the target's variation on validation rows that each column alone explains, by its name.

    ``classes`` is None if a row has no class or several labels.
    """
    split, scores = sample.split, {}
    for column in sample.features.iter_columns():
        number = column.dtype.is_numeric() or column.dtype.is_temporal()
        train, val = (
            rows[:: max(1, -(-len(rows) // MOST))] if number else rows  # evenly spaced
            for rows in (split.train, split.val)
        )
        values = column.gather(torch.cat([train, val]).numpy())
        codes = _quantiles(values, len(train)) if number else _categories(values)
        scores[column.name] = 0.0 if codes is None else _explained(sample.targets, classes, codes, train, val)
    return scores


def leaks(scores: Mapping[str, float]) -> list[str]:
    """Returns sentences on columns that look like a leak; ``scores`` are those of ``single_columns``."""
    return [
        f"{name} alone explains {score:.1%} of the target on validation rows; "
        "leave it out unless it is known before the answer is"
        for name, score in scores.items()
        if score >= ALMOST_ALL
    ]


def _quantiles(column: polars.Series, train: int) -> Tensor | None:
    """Bins numbers by quantiles of the first ``train`` rows, (N,) int64; the last bin is that of missing values."""
    values = (to_numbers(column) if column.dtype.is_numeric() else to_days(column)).numpy()
    there = values[:train]
    there = there[~numpy.isnan(there)]
    if not len(there):
        return None
    different = numpy.unique(there)
    edges = different if len(different) <= BINS else numpy.unique(numpy.quantile(there, numpy.linspace(0, 1, BINS)))
    # Halfway between two values, so that equal values stay together.
    bins = numpy.digitize(values, (edges[:-1] + edges[1:]) / 2)
    bins[numpy.isnan(values)] = len(edges)
    return torch.from_numpy(bins)


def _categories(column: polars.Series) -> Tensor | None:
    """Returns codes of categories (N,); the last code is that of missing values."""
    try:
        codes, levels = encode(column)
    except DataError:
        return None
    return torch.where(codes < 0, len(levels), codes)


def _explained(y: Tensor, classes: int | None, codes: Tensor, train: Tensor, val: Tensor) -> float:
    """Returns the fraction of the target's variation on validation rows that the train mean of each code explains.

    For classes the variation is that of their indicators, a Brier skill score; of several targets the largest fraction
    counts. 1 is everything, 0 or less nothing. The codes are of the train rows, and then of the validation rows.
    """
    targets, number = _target_columns(y[val], classes), int(codes.max()) + 1
    of_train, of_val = codes[: len(train)], codes[len(train) :]
    counts = torch.bincount(of_train, minlength=number)
    sums, mean = _train_sums(y[train], classes, of_train, number)
    means = torch.where(counts.unsqueeze(1) > 0, sums / counts.clamp_min(1).unsqueeze(1), mean)
    left, total = ((targets - guess).square().sum(dim=0) for guess in (means[of_val], mean))
    if classes is not None:
        left, total = left.sum(dim=0, keepdim=True), total.sum(dim=0, keepdim=True)
    return float(torch.where(total > 0, 1 - left / total, 0).max())


def _train_sums(y: Tensor, classes: int | None, codes: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Returns sums of the train rows' ``_target_columns`` for each of ``number`` codes, and their mean, float64."""
    if classes is None:
        targets = _target_columns(y, classes)
        sums = torch.zeros(number, targets.shape[1], dtype=torch.float64).index_add(0, codes, targets)
        return sums, targets.mean(dim=0)
    pairs = codes * classes + y.long()  # counted, since indicators would take much memory
    sums = torch.bincount(pairs, minlength=number * classes).view(number, classes).double()
    return sums, sums.sum(dim=0) / len(y)


def _target_columns(y: Tensor, classes: int | None) -> Tensor:
    """Converts targets to columns of float64: indicators of classes, labels, or values."""
    if classes is not None:
        return torch.nn.functional.one_hot(y.long(), classes).double()
    return y.double().flatten(1) if y.dim() > 1 else y.double().unsqueeze(1)
