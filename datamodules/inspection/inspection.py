"""A look at a data set before anything is trained on it."""

from dataclasses import asdict, dataclass
from typing import Any

import polars
import torch
from polars import selectors
from torch import Tensor

from datamodules.base import DataModule
from datamodules.inspection.leakage import suspicions
from datamodules.splitting.splits import PARTS

Numbers = dict[str, float]


@dataclass
class Column:
    """What one column holds: missing and different values in all rows, the rest in train rows.

    Args:
        name: Its name.
        type: What its values are.
        missing: Rows without a value.
        different: Different values.
        numbers: Mean, standard deviation, smallest and largest value of numbers and dates.
        most_frequent: The most frequent value of anything else, and its share of the rows that have one.
    """

    name: str
    type: str
    missing: int
    different: int
    numbers: Numbers | None
    most_frequent: tuple[str, float] | None


@dataclass
class Inspection:
    """What a person should know about data and split.

    Args:
        data: The data module's class.
        task: What is asked.
        modality: What a row is.
        input_shape: Shape of a row.
        rows: Rows of each part.
        duplicates: Rows that are an exact copy of an earlier one; None where nobody looked.
        classes: Rows of each class or label, by part; empty for regression.
        targets: Of regression: mean, standard deviation, smallest and largest, by target and part.
        columns: Of a table its columns; of other rows what can be said of them in a number.
        notes: What the data module has to say.
        suspicions: What looks like a leak.
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
        """Dictionaries, lists, texts and numbers."""
        return asdict(self)


def inspect(data: DataModule) -> Inspection:
    """Look at a data module; ``setup`` need not have been called."""
    split = data.split_now()
    features = data.features()
    targets = {part: data.targets(index) for part, index in split._asdict().items()}
    train = split.train.numpy()
    return Inspection(
        data=type(data).__name__,
        task=data.task,
        modality=data.modality,
        input_shape=tuple(data.input_shape),
        rows=data.part_rows(),
        duplicates=data.duplicates(),
        classes=_classes(data, targets),
        targets=_values(targets) if data.task == "regression" else {},
        columns=[_column(features[name], features[name].gather(train)) for name in features.columns],
        notes=list(data.notes),
        suspicions=suspicions(data, features),
    )


def _classes(data: DataModule, targets: dict[str, Tensor]) -> dict[str, dict[str, int]]:
    if data.task == "regression":
        return {}
    if data.num_classes is None:
        counts = {part: y.sum(dim=0).tolist() for part, y in targets.items()}
    else:
        counts = {part: torch.bincount(y.long(), minlength=data.num_classes).tolist() for part, y in targets.items()}
    number = len(counts["train"])
    names = data.class_names or tuple(map(str, range(number)))
    return {names[index]: {part: int(counts[part][index]) for part in PARTS} for index in range(number)}


def _values(targets: dict[str, Tensor]) -> dict[str, dict[str, Numbers]]:
    columns = {part: y.double().view(len(y), targets["train"][0].numel()).T for part, y in targets.items()}
    return {
        str(index): {part: _numbers(polars.Series(columns[part][index].numpy())) for part in PARTS}
        for index in range(len(columns["train"]))
    }


def _column(column: polars.Series, train: polars.Series) -> Column:
    values = train.drop_nulls()
    kind, numbers, most_frequent = "categorical", None, None
    if column.dtype.is_temporal():
        kind = "date"
    elif column.dtype.is_numeric():
        kind, numbers = "numeric", _numbers(values)
    if kind != "numeric" and len(values):
        value, count = values.cast(polars.String).value_counts(sort=True).row(0)
        most_frequent = (value, count / len(values))
    return Column(column.name, kind, column.null_count(), column.drop_nulls().n_unique(), numbers, most_frequent)


def _numbers(values: polars.Series) -> Numbers:
    if not len(values):
        return {}
    table = values.cast(polars.Float64).to_frame("value")
    one = selectors.all()
    said = table.select(mean=one.mean(), std=one.std(ddof=0), min=one.min(), max=one.max())
    return said.row(0, named=True)
