"""Targets that come a piece at a time: what they are, and what becomes of a piece."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import polars
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.facts import TaskName
from datamodules.tables.targets import read_target
from datamodules.tables.values import to_numbers

MANY = 65_536
"""So many different values are never taken for categories or classes."""


@dataclass(frozen=True)
class Labelling:
    """What a target is.

    Args:
        task: What is asked.
        num_outputs: Of the network.
        class_names: The classes' or labels' names; none for regression.
        classes: The value of each class, ``[]`` where there are none.
        shape: Of one row's target.
    """

    task: TaskName
    num_outputs: int
    class_names: tuple[str, ...] | list[str]
    classes: list[Any]
    shape: tuple[int, ...] | list[int]

    def encode(self, frame: polars.DataFrame) -> Tensor:
        """A piece's targets: class indices (n,), labels (n, L) int64 or values (n, R) float64.

        Raises:
            DataError: For values that are none of the target's.
        """
        if self.classes:
            indices = list(range(len(self.classes)))
            coded = _comparable(frame.to_series()).replace_strict(self.classes, indices, return_dtype=polars.Int64)
            return torch.tensor(coded.to_numpy())
        y = torch.stack([to_numbers(column) for column in frame.iter_columns()], dim=1)
        return y.long() if self.task == "multilabel" else y


def read_labelling(pieces: Iterable[polars.DataFrame], task: TaskName | None) -> Labelling:
    """What the target columns are, by their different values, without missing ones.

    Args:
        pieces: The target columns of some rows each.
        task: What is asked; what the values look like where it is left out.

    Raises:
        DataError: As ``read_target`` does, and for more classes than there can be.
    """
    seen: dict[str, polars.Series] = {}
    for piece in pieces:
        for column in piece.iter_columns():
            known = seen.get(column.name)
            if known is None or len(known) <= MANY:
                different = _comparable(column).unique()
                seen[column.name] = different if known is None else known.append(different).unique()
    longest = max(map(len, seen.values()))
    frame = polars.DataFrame(
        # Columns of one length, with no value that was not there.
        [column.sort().extend_constant(column.min(), longest - len(column)) for column in seen.values()]
    )
    target = read_target(frame, task)
    if target.task != "regression" and longest > MANY:
        raise DataError(
            f"target {frame.columns[0]} has more than {MANY:,} different values; say --data.task regression"
        )
    one_class = target.task in ("binary", "multiclass")
    classes = [value for _, value in sorted(zip(target.y.tolist(), frame.to_series().to_list(), strict=True))]
    shape = () if one_class else (frame.width,)
    return Labelling(target.task, target.num_outputs, target.class_names, classes if one_class else [], shape)


def _comparable(column: polars.Series) -> polars.Series:
    """Numbers and truth values as they are, anything else as text."""
    return column if column.dtype.is_numeric() or column.dtype == polars.Boolean else column.cast(polars.String)
