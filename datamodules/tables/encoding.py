"""What is learned of a table's columns on train rows: a value for missing numbers, and the categories."""

from dataclasses import dataclass
from typing import Any

import numpy
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.tables.columns import Columns

UNKNOWN, MISSING = 0, 1
"""Indices of every categorical column: a category that no train row has, and no value at all."""
RESERVED = 2


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
        return tuple(RESERVED + len(known) for known in self.categories.values())

    def numbers(self, columns: Columns, rows: Tensor) -> Tensor:
        """The numbers of some rows (N, F) float64, with none missing."""
        numbers = columns.numbers[rows]
        medians = torch.tensor(list(self.medians.values()), dtype=torch.float64)
        return torch.where(numbers.isnan(), medians, numbers)

    def indices(self, columns: Columns, rows: Tensor) -> Tensor:
        """The category indices of some rows (N, C) int64."""
        encoded = []
        for column, levels, known in zip(columns.codes.T, columns.levels, self.categories.values(), strict=True):
            index_of = {name: RESERVED + position for position, name in enumerate(known)}
            # The last entry is that of code -1.
            table = torch.tensor([*(index_of.get(level, UNKNOWN) for level in levels), MISSING])
            encoded.append(table[column[rows]])
        return torch.stack(encoded, dim=1) if encoded else torch.empty(len(rows), 0, dtype=torch.int64)

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
    numbers, codes = columns.numbers[train], columns.codes[train]
    there = torch.cat([~numbers.isnan(), codes >= 0], dim=1).any(dim=0).tolist()
    for name, any_value in zip(columns.number_names + columns.category_names, there, strict=True):
        if not any_value:
            raise DataError(f"column {name} has no value in the {len(train):,} train rows; drop it with --data.drop")
    medians = numpy.nanmedian(numbers.numpy(), axis=0).tolist()
    categories = {}
    for name, column, levels in zip(columns.category_names, codes.T, columns.levels, strict=True):
        # The levels of a file are sorted, so that what other rows have does not change the order of these.
        categories[name] = [levels[code] for code in column.unique().tolist() if code >= 0]
    return Encoding(dict(zip(columns.number_names, medians, strict=True)), categories)
