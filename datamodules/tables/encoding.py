"""What is learned of a table's columns on train rows: a value for missing numbers, and the categories."""

from dataclasses import dataclass
from typing import Any

import numpy
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.preprocessing import normalization
from datamodules.preprocessing.modules import FillMissing
from datamodules.preprocessing.normalization import Method, Normalizer
from datamodules.tables.columns import Columns
from datamodules.tables.lazy_numbers import in_pieces

UNKNOWN, MISSING = 0, 1
"""Indices of every categorical column: a category that no train row has, and no value at all."""
RESERVED = 2

AT_ONCE = 4
"""Statistics are learned of at least so many columns at a time, where there are as many."""


@dataclass
class Encoding:
    """What was learned of the columns, as plain values.

    Args:
        medians: What stands in for a missing number, by column.
        categories: The categories that the train rows have, sorted; the first has index 2.
    """

    medians: dict[str, float]
    categories: dict[str, list[str]]

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Number of indices of each categorical column, those of unknown and missing among them."""
        return tuple(RESERVED + len(names) for names in self.categories.values())

    def numbers(self, columns: Columns, rows: Tensor, some: slice = slice(None)) -> Tensor:
        """The numbers of some rows (N, F) float64, or some columns of them, with none missing."""
        fill = FillMissing(torch.tensor(list(self.medians.values())[some], dtype=torch.float64))
        return in_pieces(lambda piece: fill(columns.numbers[piece, some]), rows, len(fill.values))

    def indices(self, columns: Columns, rows: Tensor) -> Tensor:
        """The category indices of some rows (N, C) int64."""
        encoded = torch.empty(len(rows), len(columns.levels), dtype=torch.int64)
        parts = zip(columns.codes.T, columns.levels, self.categories.values(), encoded.T, strict=True)
        for column, levels, names, indices in parts:
            index_of = {name: RESERVED + position for position, name in enumerate(names)}
            # The last entry is that of code -1.
            table = torch.tensor([*(index_of.get(level, UNKNOWN) for level in levels), MISSING])
            indices.copy_(table[column[rows]])
        return encoded

    def unknown(self, columns: Columns, rows: Tensor) -> dict[str, int]:
        """How many of some rows have a category that no train row has, by column, where there are any."""
        counts = (self.indices(columns, rows) == UNKNOWN).sum(dim=0).tolist()
        return {name: count for name, count in zip(self.categories, counts, strict=True) if count}

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"medians": dict(self.medians), "categories": {k: list(v) for k, v in self.categories.items()}}


def learn(columns: Columns, train: Tensor) -> Encoding:
    """The encoding that the train rows (their numbers) teach.

    Raises:
        DataError: For a column that has no value in them.
    """
    medians, categories = {}, {}
    for index, name in enumerate(columns.number_names):
        values = columns.numbers[train, index : index + 1]
        _check_any(name, ~values.isnan(), len(train))
        medians[name] = numpy.nanmedian(values.numpy(), axis=0).item()
    for name, column, levels in zip(columns.category_names, columns.codes.T, columns.levels, strict=True):
        codes = column[train].unique()
        _check_any(name, codes >= 0, len(train))
        # The levels of a file are sorted, so that what other rows have does not change the order of these.
        categories[name] = [levels[code] for code in codes.tolist() if code >= 0]
    return Encoding(medians, categories)


def _check_any(name: str, there: Tensor, rows: int) -> None:
    if not there.any():
        raise DataError(f"column {name} has no value in the {rows:,} train rows; drop it with --data.drop")


def learn_numbers(columns: Columns, encoding: Encoding, train: Tensor, method: Method) -> Normalizer:
    """What normalizes the numbers, learned of the train rows with none missing, a few columns at a time."""
    # Never one column alone, unless there is but one: torch adds up a contiguous column in another order.
    count = columns.numbers.shape[1]
    ends = torch.arange(count).tensor_split(max(1, count // AT_ONCE))
    groups = [slice(int(end[0]), int(end[-1]) + 1) if count else slice(0) for end in ends]
    parts = [normalization.learn(encoding.numbers(columns, train, group), method) for group in groups]
    states = [part.state_dict() for part in parts]
    return normalization.restore({name: torch.cat([state[name] for state in states]) for name in states[0]})
