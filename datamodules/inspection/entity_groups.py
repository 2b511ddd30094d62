"""Columns that look like an id of rows, or of groups of rows, such as the patient of a visit."""

import re
from collections.abc import Sequence

import polars
import torch
from torch import Tensor

from datamodules.inspection.summary_columns import InspectionSample
from datamodules.splitting.splits import Split

MANY = 50  # fewer groups than this are categories, unless their name or their classes say otherwise
SOME = 10

PERSONAL = re.compile(r"(^|_|\W)(id|uuid|key|patient|person|subject|user|customer|client|session|device|group)(_|\W|$)")
"""Names of columns that identify a person or device."""

OF_ONE_CLASS = 0.95
"""Fraction of the repeated rows that are in groups of one class, from which on a column is suspicious."""

BY_CHANCE = 0.5
"""Larger fractions that are expected by chance, as of a rare class, are not suspicious."""


def identities(sample: InspectionSample, ignored: Sequence[str]) -> list[str]:
    """Returns sentences on columns that look like ids of rows, or of groups that occur in several splits.

    ``ignored`` are the columns that the split depends on, and targets.
    """
    features, sentences = sample.features, []
    codes = _target_codes(sample.targets[sample.split.train])
    others = (sample.about[name] for name in sample.about.columns if name not in features.columns)
    for column in [*features.iter_columns(), *others]:
        if column.name in ignored or not (column.dtype.is_integer() or column.dtype == polars.String):
            continue
        different, rows = column.drop_nulls().n_unique(), column.count()
        is_input = column.name in features.columns
        if is_input and column.dtype.is_integer() and different == rows > MANY:
            sentences.append(
                f"{column.name} has another whole number in each row of all {rows:,}, like an id; "
                "name it with --data.id, or drop it with --data.drop"
            )
        elif SOME <= different <= rows / 2 and (reason := _reason(column, different, sample, codes)):
            sentences += _shared(column, different, reason, sample.split)
    return sentences


def _reason(column: polars.Series, different: int, sample: InspectionSample, codes: Tensor) -> str:
    """Returns why a column looks like groups, or an empty string."""
    if PERSONAL.search(column.name.lower()):
        return "by its name"
    pure = _fraction_of_one_class(column.gather(sample.split.train.numpy()), different, codes)
    if pure is not None:
        return f"as {pure:.0%} of the train rows whose value repeats share it with rows of their own class alone"
    is_text = column.dtype == polars.String
    return "by their number" if is_text and different >= max(MANY, column.count() / 100) else ""


def _fraction_of_one_class(column: polars.Series, different: int, codes: Tensor) -> float | None:
    """Returns the fraction of train rows, of those in groups of several, whose group is all of one class.

    ``codes`` (N,) are those of their targets. Returns None if the fraction is not remarkable.
    """
    frame = polars.DataFrame({"group": column, "target": codes.numpy()}).drop_nulls("group")
    low, high = polars.col("target").min(), polars.col("target").max()
    groups = frame.group_by("group").agg(rows=polars.len().cast(polars.Int64), is_pure=low == high)
    groups = groups.filter(polars.col("rows") > 1)
    if groups["rows"].sum() < len(frame) / 2 or different < 2 * codes.unique().numel():
        return None
    sizes, is_pure = (torch.tensor(groups[name].to_numpy()) for name in ("rows", "is_pure"))
    pure = float(sizes[is_pure].sum() / sizes.sum())
    fractions = torch.bincount(codes).double() / len(codes)
    each = zip(*sizes.unique(return_counts=True), strict=True)
    expected = sum(float(fractions.pow(int(size)).sum()) * int(size * count) for size, count in each)
    return pure if pure >= OF_ONE_CLASS and expected <= BY_CHANCE * int(sizes.sum()) else None


def _target_codes(targets: Tensor) -> Tensor:
    """Returns a number (N,) for each different target."""
    columns = targets.view(len(targets), -1).squeeze(1)
    codes: Tensor = columns.unique(dim=None if columns.dim() == 1 else 0, return_inverse=True)[1]
    return codes


def _shared(column: polars.Series, different: int, reason: str, split: Split) -> list[str]:
    """Returns a sentence if test rows are of groups that train rows are of too."""
    train_values = column.gather(split.train.numpy()).drop_nulls().unique()
    test = column.gather(split.test.numpy()).drop_nulls()
    shared = int(test.is_in(train_values.implode()).sum())
    sentence = (
        f"{column.name} looks like groups, {different:,} of them, {reason}: {shared:,} of {len(test):,} test rows are "
        f"of one that train rows are of too; keep each in one part with --data.group {column.name}"
    )
    return [sentence] if shared else []
