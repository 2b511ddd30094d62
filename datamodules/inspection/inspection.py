"""Inspection of a data set before training: counts, classes, columns, suspicions of leakage."""

from dataclasses import asdict, dataclass
from typing import Any

import polars
import torch
from torch import Tensor

from datamodules.base import DataModule
from datamodules.inspection.entity_groups import identities
from datamodules.inspection.leakage import leaks, single_columns
from datamodules.inspection.near_copies import near_copies
from datamodules.inspection.odd_values import odd_values
from datamodules.inspection.series_scales import describe_spread
from datamodules.inspection.summary_columns import InspectionSample
from datamodules.splitting.splits import PARTS

Numbers = dict[str, float]

STRONGEST = 3
"""Columns that are shown with what each explains alone."""


@dataclass
class Column:
    """Summary of a column: missing and different values in all rows, the rest in train rows."""

    name: str
    type: str  # numeric, categorical or date
    missing: int
    different: int
    numbers: Numbers | None  # mean, standard deviation, smallest and largest value of numbers
    most_frequent: tuple[str, float] | None  # of other columns, with its fraction of the rows that have a value
    period: tuple[str, str] | None = None  # first and last value of dates


@dataclass
class Inspection:
    """Summary of data and split."""

    data: str  # class of the data module
    task: str
    modality: str
    input_shape: tuple[int, ...]
    rows: dict[str, int]  # of each split
    duplicates: int | None  # exact copies of an earlier row; None where they were not counted
    classes: dict[str, dict[str, int]]  # rows of each class or label, by split; empty for regression
    targets: dict[str, dict[str, Numbers]]  # of each target of regression, by split
    columns: list[Column]  # of a table, or summary columns of other rows
    notes: list[str]
    suspicions: list[str]  # sentences on possible leaks, and on values that are probably not what they are read as
    strongest: dict[str, float]  # fraction of the target's variation on validation rows that one column explains
    dates: dict[str, dict[str, tuple[str, str] | None]]  # first and last date of columns, inputs or not, by split
    gaps: list[str]  # sentences on missing values inside series
    near_copies: str  # sentence on rows that are nearly equal to one with another label
    series_scales: str = ""  # sentence on the spread of the series' scales; empty for other rows

    def plain(self) -> dict[str, Any]:
        """Returns dictionaries, lists, texts and numbers."""
        return asdict(self)


def inspect(data: DataModule) -> Inspection:
    """Computes the inspection of a data module; ``setup`` need not have been called."""
    sample = data.inspection_sample()
    features, train = sample.features, sample.split.train.numpy()
    targets = {split: sample.targets[index] for split, index in sample.split._asdict().items()}
    scores = single_columns(sample, data.num_classes)
    copies = near_copies(sample, data.task == "regression")
    sentence = copies.sentence(data.modality)
    suspicions = [*leaks(scores), *identities(sample, [*data.split_settings.columns, *data.target_names])]
    suspicions += [*odd_values(sample, data.class_names or (), data.task == "regression"), *sample.step_gaps]
    suspicions += [sentence] if copies.suspicious else []
    return Inspection(
        data=data.data_name,
        task=data.task,
        modality=data.modality,
        input_shape=tuple(data.input_shape),
        rows=data.part_rows(),
        duplicates=sample.duplicates,
        classes=_classes(data, targets),
        targets=_values(targets) if data.task == "regression" else {},
        columns=[_column(features[name], features[name].gather(train)) for name in features.columns],
        notes=list(data.notes),
        suspicions=suspicions,
        strongest={name: scores[name] for name in sorted(scores, key=lambda name: -scores[name])[:STRONGEST]},
        dates=_dates(sample),
        gaps=list(sample.gaps),
        near_copies="" if copies.suspicious else sentence,
        series_scales=describe_spread(data),
    )


def _classes(data: DataModule, targets: dict[str, Tensor]) -> dict[str, dict[str, int]]:
    if data.task == "regression":
        return {}
    classes = data.num_classes
    counts = {
        split: (y.sum(dim=0) if classes is None else torch.bincount(y.long(), minlength=classes)).long().tolist()
        for split, y in targets.items()
    }
    names = data.class_names or map(str, range(len(counts["train"])))
    return {name: {split: counts[split][index] for split in PARTS} for index, name in enumerate(names)}


def _values(targets: dict[str, Tensor]) -> dict[str, dict[str, Numbers]]:
    columns = {split: y.double().view(len(y), targets["train"][0].numel()).T.numpy() for split, y in targets.items()}
    return {
        str(index): {split: _numbers(polars.Series(columns[split][index])) for split in PARTS}
        for index in range(len(columns["train"]))
    }


def _dates(sample: InspectionSample) -> dict[str, dict[str, tuple[str, str] | None]]:
    others = (sample.about[name] for name in sample.about.columns if name not in sample.features.columns)
    dates = [
        each for each in (*sample.features.iter_columns(), *others) if each.dtype in (polars.Date, polars.Datetime)
    ]
    return {
        column.name: {name: _period(column.gather(rows.numpy())) for name, rows in sample.split._asdict().items()}
        for column in dates
    }


def _period(dates: polars.Series) -> tuple[str, str] | None:
    """Returns the first and the last date or time, without a fraction that is 0; None where all are missing."""
    values = dates.drop_nulls()
    ends = polars.Series([values.min(), values.max()], dtype=dates.dtype).cast(polars.String)
    ends = ends.str.replace(r"\.0+(\D|$)", "$1")
    return (ends[0], ends[1]) if len(values) else None


def _column(column: polars.Series, train: polars.Series) -> Column:
    values, is_number = train.drop_nulls(), column.dtype.is_numeric()
    kind = "date" if column.dtype.is_temporal() else "numeric" if is_number else "categorical"
    numbers, most_frequent = _numbers(values) if is_number else None, None
    if not is_number and len(values):
        value, count = values.cast(polars.String).alias("value").value_counts(sort=True).row(0)
        most_frequent = (value, count / len(values))
    period = _period(values) if kind == "date" else None
    different = column.drop_nulls().n_unique()
    return Column(column.name, kind, column.null_count(), different, numbers, most_frequent, period)


def _numbers(values: polars.Series) -> Numbers:
    if not len(values):
        return {}
    value = polars.col("value")
    summary = {"mean": value.mean(), "std": value.std(ddof=0), "min": value.min(), "max": value.max()}
    return values.cast(polars.Float64).to_frame("value").select(**summary).row(0, named=True)
