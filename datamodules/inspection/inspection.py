"""Inspection of a data set before training: counts, classes, columns, suspicions of leakage."""

from dataclasses import asdict, dataclass
from typing import Any

import polars
import torch
from torch import Tensor

from datamodules.base import DataModule
from datamodules.inspection.leakage import suspicions
from datamodules.splitting.splits import PARTS

Numbers = dict[str, float]


@dataclass
class Column:
    """Summary of a column: missing and different values in all rows, the rest in train rows.

    Args:
        name: Name.
        type: Column type: numeric, categorical or date.
        missing: Rows without a value.
        different: Number of different values.
        numbers: Mean, standard deviation, smallest and largest value of numbers.
        most_frequent: Most frequent value of other columns, and its fraction of the rows that have a value.
        period: First and last value of dates.
    """

    name: str
    type: str
    missing: int
    different: int
    numbers: Numbers | None
    most_frequent: tuple[str, float] | None
    period: tuple[str, str] | None = None


@dataclass
class Inspection:
    """Summary of data and split.

    Args:
        data: Class of the data module.
        task: Task.
        modality: Modality of a row.
        input_shape: Shape of a row.
        rows: Rows of each split.
        duplicates: Rows that are an exact copy of an earlier row; None where they were not counted.
        classes: Rows of each class or label, by split; empty for regression.
        targets: Mean, standard deviation, smallest and largest value of each target of regression, by split.
        columns: Columns of a table, or summary columns of other rows.
        notes: Notes of the data module.
        suspicions: Sentences on possible leaks.
    """

    data: str
    task: str
    modality: str
    input_shape: tuple[int, ...]
    rows: dict[str, int]
    duplicates: int | None
    classes: dict[str, dict[str, int]]
    targets: dict[str, dict[str, Numbers]]
    columns: list[Column]
    notes: list[str]
    suspicions: list[str]

    def plain(self) -> dict[str, Any]:
        """Returns dictionaries, lists, texts and numbers."""
        return asdict(self)


def inspect(data: DataModule) -> Inspection:
    """Computes the inspection of a data module; ``setup`` need not have been called."""
    sample = data.inspection_sample()
    features, train = sample.features, sample.split.train.numpy()
    targets = {split: sample.targets[index] for split, index in sample.split._asdict().items()}
    return Inspection(
        data=type(data).__name__,
        task=data.task,
        modality=data.modality,
        input_shape=tuple(data.input_shape),
        rows=data.part_rows(),
        duplicates=sample.duplicates,
        classes=_classes(data, targets),
        targets=_values(targets) if data.task == "regression" else {},
        columns=[_column(features[name], features[name].gather(train)) for name in features.columns],
        notes=list(data.notes),
        suspicions=suspicions(sample, data.num_classes, data.split_settings.columns),
    )


def _classes(data: DataModule, targets: dict[str, Tensor]) -> dict[str, dict[str, int]]:
    if data.task == "regression":
        return {}
    if data.num_classes is None:
        counts = {split: y.sum(dim=0).tolist() for split, y in targets.items()}
    else:
        counts = {split: torch.bincount(y.long(), minlength=data.num_classes).tolist() for split, y in targets.items()}
    number = len(counts["train"])
    names = data.class_names or tuple(map(str, range(number)))
    return {names[index]: {split: int(counts[split][index]) for split in PARTS} for index in range(number)}


def _values(targets: dict[str, Tensor]) -> dict[str, dict[str, Numbers]]:
    columns = {split: y.double().view(len(y), targets["train"][0].numel()).T for split, y in targets.items()}
    return {
        str(index): {split: _numbers(polars.Series(columns[split][index].numpy())) for split in PARTS}
        for index in range(len(columns["train"]))
    }


def _column(column: polars.Series, train: polars.Series) -> Column:
    values = train.drop_nulls()
    kind, numbers, most_frequent, period = "categorical", None, None, None
    if column.dtype.is_temporal():
        kind, ends = "date", values.sort().cast(polars.String)
        period = (ends[0], ends[-1]) if len(ends) else None
    elif column.dtype.is_numeric():
        kind, numbers = "numeric", _numbers(values)
    if kind != "numeric" and len(values):
        value, count = values.cast(polars.String).alias("value").value_counts(sort=True).row(0)
        most_frequent = (value, count / len(values))
    different = column.drop_nulls().n_unique()
    return Column(column.name, kind, column.null_count(), different, numbers, most_frequent, period)


def _numbers(values: polars.Series) -> Numbers:
    if not len(values):
        return {}
    table = values.cast(polars.Float64).to_frame("value")
    value = polars.col("value")
    summary = table.select(mean=value.mean(), std=value.std(ddof=0), min=value.min(), max=value.max())
    return summary.row(0, named=True)
