"""What looks like a leak: a column that knows the answer, an id, groups that stand in several parts.

Suspicions are rules of thumb. They are sentences for a person to judge, and change nothing.
"""

import re

import numpy
import polars
import torch
from torch import Tensor

from datamodules.base import DataModule
from datamodules.errors import DataError
from datamodules.splitting.splits import Split
from datamodules.tables.casting import encode, to_days, to_numbers

ALMOST_ALL = 0.95
"""A column that alone explains so much of the target's variation on validation rows is suspicious."""

BINS = 64
"""A number is looked at through so many quantiles."""

MOST = 100_000
"""No more than so many rows of a part are looked at for what a number explains."""

MANY = 50
"""Fewer groups than this are categories."""

PERSONAL = re.compile(r"(^|_|\W)(id|uuid|key|patient|person|subject|user|customer|client|session|device|group)(_|\W|$)")
"""Names of columns of whole numbers that stand for someone."""


def suspicions(data: DataModule, features: polars.DataFrame) -> list[str]:
    """Sentences about the columns of a data module.

    Args:
        data: Split, if not set up.
        features: Its columns, a row for each of its rows.
    """
    split, found = data.split_now(), []
    for column in features.iter_columns():
        number = column.dtype.is_numeric() or column.dtype.is_temporal()
        train, val = (_spread(rows, MOST if number else len(rows)) for rows in (split.train, split.val))
        looked_at = column.gather(torch.cat([train, val]).numpy())
        codes = _quantiles(looked_at, len(train)) if number else _categories(looked_at)
        explained = 0.0 if codes is None else _explained(data, codes, train, val)
        if explained >= ALMOST_ALL:
            found.append(
                f"{column.name} alone explains {explained:.1%} of the target on validation rows; "
                "leave it out unless it is known before the answer is"
            )
    about = data.about()
    steering = data.split_settings.columns
    for column in [*features.iter_columns(), *(about[name] for name in about.columns if name not in features.columns)]:
        if column.name not in steering:
            found += _identity(column, split, column.name in features.columns)
    return found


def _spread(rows: Tensor, most: int) -> Tensor:
    """Every so-manieth of some rows, so that there are no more than ``most``."""
    return rows[:: max(1, -(-len(rows) // max(1, most)))]


def _quantiles(column: polars.Series, train: int) -> Tensor | None:
    """A number in each row as one of its quantiles in the first ``train`` rows (N,), whole; the last one is missing."""
    values = (to_numbers(column) if column.dtype.is_numeric() else to_days(column)).numpy()
    there = values[:train]
    there = there[~numpy.isnan(there)]
    if not len(there):
        return None
    different = numpy.unique(there)
    edges = different if len(different) <= BINS else numpy.unique(numpy.quantile(there, numpy.linspace(0, 1, BINS)))
    # Halfway between two values, so that what is equal stays together.
    bins = numpy.digitize(values, (edges[:-1] + edges[1:]) / 2)
    bins[numpy.isnan(values)] = len(edges)
    return torch.from_numpy(bins)


def _categories(column: polars.Series) -> Tensor | None:
    """A category in each row as a whole number (N,); the last one is missing."""
    try:
        codes, levels = encode(column)
    except DataError:
        return None
    return torch.where(codes < 0, len(levels), codes)


def _explained(data: DataModule, codes: Tensor, train: Tensor, val: Tensor) -> float:
    """Share of the target's variation on validation rows that the train rows' mean for each code explains.

    For classes it is that of their indicators, a Brier skill score; of several targets the largest. 1 is everything, 0
    or less nothing. The codes are those of the train rows, and then of the validation rows.
    """
    targets, number = _targets(data, val), int(codes.max()) + 1
    of_train, of_val = codes[: len(train)], codes[len(train) :]
    counts = torch.bincount(of_train, minlength=number)
    sums, mean = _train_targets(data, train, of_train, number)
    means = torch.where(counts.unsqueeze(1) > 0, sums / counts.clamp_min(1).unsqueeze(1), mean)
    left, whole = ((targets - guess).square().sum(dim=0) for guess in (means[of_val], mean))
    if data.num_classes is not None:
        left, whole = left.sum(dim=0, keepdim=True), whole.sum(dim=0, keepdim=True)
    return float(torch.where(whole > 0, 1 - left / whole, 0).max())


def _train_targets(data: DataModule, train: Tensor, codes: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Sums of the train rows' ``_targets`` for each of so many codes, and the mean of all, float64."""
    classes = data.num_classes
    if classes is None:
        targets = _targets(data, train)
        sums = torch.zeros(number, targets.shape[1], dtype=torch.float64).index_add(0, codes, targets)
        return sums, targets.mean(dim=0)
    pairs = codes * classes + data.targets(train).long()  # counted, for indicators would take much memory
    sums = torch.bincount(pairs, minlength=number * classes).view(number, classes).double()
    return sums, sums.sum(dim=0) / len(train)


def _targets(data: DataModule, index: Tensor) -> Tensor:
    """Targets as columns of float64: indicators of classes, labels, or values."""
    y = data.targets(index)
    if data.num_classes is not None:
        return torch.nn.functional.one_hot(y.long(), data.num_classes).double()
    return y.double().flatten(1) if y.dim() > 1 else y.double().unsqueeze(1)


def _identity(column: polars.Series, split: Split, is_input: bool) -> list[str]:
    """Whether a column numbers rows, or names groups of them."""
    whole = column.dtype.is_integer()
    if not whole and column.dtype != polars.String:
        return []
    different, rows = column.drop_nulls().n_unique(), column.count()
    if is_input and whole and different == rows > MANY:
        return [f"{column.name} has another whole number in each row, like an id; drop it with --data.drop"]
    names_someone = not whole or PERSONAL.search(column.name.lower())
    if not names_someone or different < max(MANY, rows / 100) or different > rows / 2:
        return []
    known = set(column.gather(split.train.numpy()).drop_nulls().unique().to_list())
    test = column.gather(split.test.numpy()).drop_nulls().to_list()
    shared = sum(value in known for value in test)
    if not shared:
        return []
    return [
        f"{column.name} looks like groups, {different:,} of them, and {shared:,} of {len(test):,} test rows are of one "
        f"that train rows are of too; keep each in one part with --data.group {column.name}"
    ]
