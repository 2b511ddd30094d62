"""Pieces of a table as arrays: targets, codes that stay the same over pieces, split indices and group hashes."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.errors import DataError
from datamodules.splitting.splits import PARTS
from datamodules.tables.casting import check_complete, to_numbers
from datamodules.tables.columns import Columns
from datamodules.tables.targets import read_target
from datamodules.types import TaskName

MANY = 65_536
"""Most different values of a column of categories or classes."""


@dataclass(frozen=True)
class TargetEncoding:
    """Encoding of the target columns, learned from their different values.

    Args:
        task: Task.
        num_outputs: Outputs of the network.
        class_names: Names of the classes or labels; none for regression.
        classes: Value of each class; none for labels and regression.
        shape: Shape of one row's target.
    """

    task: TaskName
    num_outputs: int
    class_names: tuple[str, ...] | list[str]
    classes: list[Any]
    shape: tuple[int, ...] | list[int]

    def encode(self, frame: polars.DataFrame) -> Tensor:
        """Returns a piece's targets: class indices (n,), labels (n, L) int64 or values (n, R) float64.

        Raises:
            DataError: For values that are no target.
        """
        if self.classes:
            indices = list(range(len(self.classes)))
            coded = _comparable(frame.to_series()).replace_strict(self.classes, indices, return_dtype=polars.Int64)
            return torch.tensor(coded.to_numpy())
        y = torch.stack([to_numbers(column) for column in frame.iter_columns()], dim=1)
        return y.long() if self.task == "multilabel" else y


def learn_target_encoding(pieces: Iterable[polars.DataFrame], task: TaskName | None) -> TargetEncoding:
    """Learns the encoding of target columns from their different values.

    Args:
        pieces: Target columns of some rows each, without missing values.
        task: Task; inferred from the values by default.

    Raises:
        DataError: As ``read_target`` does, and for more than 65,536 classes.
    """
    values: dict[str, polars.Series] = {}
    for piece in pieces:
        for column in piece.iter_columns():
            before = values.get(column.name)
            if before is None or len(before) <= MANY:
                different = _comparable(column).unique()
                values[column.name] = different if before is None else before.append(different).unique()
    longest = max(map(len, values.values()))
    frame = polars.DataFrame(
        # Columns of one length, with no value that was not there.
        [column.sort().extend_constant(column.min(), longest - len(column)) for column in values.values()]
    )
    target = read_target(frame, task)
    if target.task != "regression" and longest > MANY:
        raise DataError(
            f"target {frame.columns[0]} has more than {MANY:,} different values; say --data.task regression"
        )
    one_class = target.task in ("binary", "multiclass")
    classes = [value for _, value in sorted(zip(target.y.tolist(), frame.to_series().to_list(), strict=True))]
    shape = () if one_class else (frame.width,)
    return TargetEncoding(target.task, target.num_outputs, target.class_names, classes if one_class else [], shape)


def _comparable(column: polars.Series) -> polars.Series:
    """Returns numbers and truth values unchanged, other values as text."""
    return column if column.dtype.is_numeric() or column.dtype == polars.Boolean else column.cast(polars.String)


def table_codes(piece: Columns, levels: list[dict[str, int]]) -> Tensor:
    """Returns a piece's category codes (n, C) with the indices of the whole table, -1 where missing.

    Args:
        piece: Columns of some rows.
        levels: Index of each category of each column; new categories are added.

    Raises:
        DataError: For a column with more than 65,536 categories.
    """
    codes = torch.empty_like(piece.codes)
    for index, (name, index_of) in enumerate(zip(piece.category_names, levels, strict=True)):
        indices = [index_of.setdefault(level, len(index_of)) for level in piece.levels[index]]
        if len(index_of) > MANY:
            raise DataError(
                f"column {name} has more than {MANY:,} different texts, like an id or free text; "
                "drop it with --data.drop"
            )
        codes[:, index] = torch.tensor([*indices, -1])[piece.codes[:, index]]
    return codes


def split_indices(column: polars.Series) -> NDArray[Any]:
    """Returns the positions in ``PARTS`` (n,) of a split column's words.

    Raises:
        DataError: For other words, and for missing ones.
    """
    check_complete(column, "split column")
    odd = column.cast(polars.String).is_in(PARTS).not_().arg_true().to_list()
    if odd:
        raise DataError(f"a row's part is train, val or test, and row {odd[0]} has {column[odd[0]]!r}")
    return _replaced(column.cast(polars.String), {name: index for index, name in enumerate(PARTS)})


def group_hashes(column: polars.Series) -> NDArray[Any]:
    """Returns hashes of the groups' values (n,) int64, the same in every version of every library.

    Raises:
        DataError: For missing values.
    """
    check_complete(column, "group column")
    text = column.cast(polars.String)
    hashes = {
        value: int.from_bytes(hashlib.blake2b(value.encode(), digest_size=8).digest(), "little", signed=True)
        for value in text.unique().to_list()
    }
    return _replaced(text, hashes)


def _replaced(text: polars.Series, by: Mapping[str, int]) -> NDArray[Any]:
    return text.replace_strict(list(by), list(by.values()), return_dtype=polars.Int64).to_numpy()
