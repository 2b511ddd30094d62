"""Pieces of a table as arrays: targets, codes that stay the same over pieces, split indices and group hashes."""

import hashlib
from collections.abc import Callable, Iterable
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
from datamodules.tables.targets import read_target, task_note
from datamodules.types import TaskName

MANY = 65_536
"""Most different values of a column of categories or classes."""


@dataclass(frozen=True)
class TargetEncoding:
    """Encoding of the target columns, learned from their different values."""

    task: TaskName
    num_outputs: int
    class_names: tuple[str, ...] | list[str]  # of classes or labels
    classes: list[Any]  # value of each class of a single column, numbers ascending; none for other targets
    shape: tuple[int, ...] | list[int]  # of one row's target
    note: str = ""  # on an inferred task that may be another one

    def encode(self, frame: polars.DataFrame) -> Tensor:
        """Returns a piece's targets: class indices (n,), labels (n, L) int64 or values (n, R) float64."""
        for column in frame.iter_columns():
            check_complete(column, "target")
        if self.classes:
            column, indices = _comparable(frame).to_series(), list(range(len(self.classes)))
            coded = column.replace_strict(self.classes, indices, default=None, return_dtype=polars.Int64)
            if coded.null_count():
                row = coded.is_null().arg_true()[0]
                raise DataError(
                    f"target {column.name} is {column[row]!r} in row {row}, a class that no train row has; "
                    "choose another split or drop its rows"
                )
            return torch.tensor(coded.to_numpy())
        return self.encode_numbers(torch.stack([to_numbers(column) for column in frame.iter_columns()], dim=1))

    def encode_numbers(self, y: Tensor) -> Tensor:
        """Encodes numbers (n,) or (n, L), none of them missing, as ``encode`` does."""
        if self.task == "regression":
            return y.double()
        y = y.double().view(len(y), -1)
        if self.classes:
            return torch.searchsorted(torch.tensor(self.classes, dtype=y.dtype), y[:, 0].contiguous())
        one_hot = not self.shape
        wrong = ((y != 0) & (y != 1)).any(dim=1) | ((y.sum(dim=1) != 1) & one_hot)
        if wrong.any():
            raise DataError(
                f"the targets {', '.join(self.class_names)} are 0 and 1{', with a single 1 a row' * one_hot}, "
                f"and row {int(wrong.nonzero()[0])} has other values; correct it or say another --data.task"
            )
        return y.argmax(dim=1) if one_hot else y.long()


def learn_target_encoding(pieces: Iterable[polars.DataFrame], task: TaskName | None) -> TargetEncoding:
    """Learns the encoding from the target columns of some rows at a time; without a task, infers it.

    Raises:
        DataError: As ``read_target`` does, and for no row and more than 65,536 classes.
    """
    rows, seen = 0, polars.DataFrame()
    for piece in pieces:
        rows += len(piece)
        if len(seen) <= MANY:
            seen = polars.concat([seen, _comparable(piece).unique()] if len(seen) else [_comparable(piece)]).unique()
    if not rows:
        raise DataError("no row is in the train part; change the split or add rows")
    seen = seen.sort(polars.all())
    target = read_target(seen, task)
    names, one_class = tuple(seen.columns), target.task in ("binary", "multiclass")
    if one_class and len(seen) > MANY:
        raise DataError(f"target {names[0]} has more than {MANY:,} different values; say --data.task regression")
    by_index = zip(target.y.tolist(), seen.to_series().to_list(), strict=True)
    classes = [value for _, value in sorted(by_index)] if one_class and len(names) == 1 else []
    # The note depends on whether there are five rows for each value.
    note = "" if task else task_note(target.task, target.y.repeat(min(5, rows // len(seen)), 1), names)
    shape = () if one_class else (len(names),)
    return TargetEncoding(target.task, target.num_outputs, target.class_names, classes, shape, note)


def _comparable(frame: polars.DataFrame) -> polars.DataFrame:
    """Returns numbers and truth values unchanged, other values as text."""
    others = ~(polars.selectors.numeric() | polars.selectors.boolean())
    return frame.with_columns(others.cast(polars.String))


def table_codes(piece: Columns, levels: list[dict[str, int]]) -> Tensor:
    """Returns a piece's category codes (n, C) with the indices of the whole table, -1 where missing.

    ``levels`` are the indices of each column's categories; new categories are added.
    """
    codes = torch.empty_like(piece.codes)
    for index, (name, index_of) in enumerate(zip(piece.category_names, levels, strict=True)):
        indices = [index_of.setdefault(level, len(index_of)) for level in piece.levels[index]]
        if len(index_of) > MANY:
            raise DataError(
                f"column {name} has more than {MANY:,} different texts, like an id or free text; "
                "name it with --data.id, or drop it with --data.drop"
            )
        codes[:, index] = torch.tensor([*indices, -1])[piece.codes[:, index]]
    return codes


def split_indices(column: polars.Series) -> NDArray[Any]:
    """Returns the positions in ``PARTS`` (n,) of a split column's words; raises ``DataError`` for other words."""
    text = column.cast(polars.String)
    odd = text.is_in(PARTS).not_().arg_true().to_list()
    if odd:
        raise DataError(f"a row's part is train, val or test, and row {odd[0]} has {column[odd[0]]!r}")
    return _replaced(column, "split column", PARTS.index)


def group_hashes(column: polars.Series) -> NDArray[Any]:
    """Returns hashes of the groups' values (n,) int64, the same in every version of every library."""

    def hashed(value: str) -> int:
        return int.from_bytes(hashlib.blake2b(value.encode(), digest_size=8).digest(), "little", signed=True)

    return _replaced(column, "group column", hashed)


def _replaced(column: polars.Series, noun: str, by: Callable[[str], int]) -> NDArray[Any]:
    check_complete(column, noun)
    text = column.cast(polars.String)
    different = text.unique().to_list()
    return text.replace_strict(different, [by(value) for value in different], return_dtype=polars.Int64).to_numpy()
