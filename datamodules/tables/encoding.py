"""Encoding of a table's columns, learned from train rows: what stands for missing numbers, and categories."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy
import torch
from torch import Tensor

from datamodules.errors import ColumnError
from datamodules.preprocessing import normalization
from datamodules.preprocessing.modules import FillMissing, MissingColumns
from datamodules.preprocessing.normalizer import Method, Normalizer
from datamodules.tables.columns import Columns
from datamodules.tables.lazy_numbers import CELLS, in_pieces

UNKNOWN, MISSING = 0, 1
"""Indices in every categorical column: a category that no train row has, and a missing value."""
RESERVED = 2

AT_ONCE = 4  # statistics are learned of at least so many columns at a time, if there are as many


@dataclass
class Encoding:
    """Medians and categories of the train rows.

    A number that is missing becomes the median. That it is missing is information too, where train rows can teach it:
    each column of ``sometimes_missing`` adds one to the network's inputs, 1 where its number is missing and else 0.
    None stands for no such columns, whatever is missing.
    """

    medians: dict[str, float]  # value that replaces a missing number, by column
    categories: dict[str, list[str]]  # of each column, sorted; the first has index 2
    sometimes_missing: list[str] | None = None  # numbers that are missing in some train row, in their order

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Number of indices of each categorical column, with those of unknown and missing."""
        return tuple(RESERVED + len(levels) for levels in self.categories.values())

    @property
    def width(self) -> int:
        """Number of numbers that a network gets of a row."""
        return len(self.medians) + len(self.sometimes_missing or ())

    def where_missing(self) -> MissingColumns | None:
        """Returns the module that appends the columns of missing values, if there are any."""
        names = list(self.medians)
        positions = [names.index(name) for name in self.sometimes_missing or ()]
        return MissingColumns(torch.tensor(positions)) if positions else None

    def fill(self, some: slice = slice(None)) -> FillMissing:
        """Returns the module that fills missing numbers of all columns, or of some."""
        return FillMissing(torch.tensor(list(self.medians.values())[some], dtype=torch.float64))

    def numbers(self, columns: Columns, rows: Tensor, some: slice = slice(None)) -> Tensor:
        """Returns the numbers of rows (N, F) float64, or some columns of them, with none missing."""
        fill = self.fill(some)
        return in_pieces(lambda piece: fill(columns.numbers[piece, some]), rows, len(fill.values))

    def indices(self, columns: Columns, rows: Tensor) -> Tensor:
        """Returns the category indices of rows (N, C) int64."""
        encoded = torch.empty(len(rows), len(columns.levels), dtype=torch.int64)
        each = zip(columns.codes.T, columns.levels, self.categories.values(), encoded.T, strict=True)
        for column, levels, categories, indices in each:
            index_of = {name: RESERVED + position for position, name in enumerate(categories)}
            # The last entry is that of code -1.
            table = torch.tensor([*(index_of.get(level, UNKNOWN) for level in levels), MISSING])
            indices.copy_(table[column[rows]])
        return encoded

    def unknown(self, columns: Columns, rows: Tensor) -> dict[str, int]:
        """Counts rows with a category that no train row has, by column, where there are any."""
        counts = (self.indices(columns, rows) == UNKNOWN).sum(dim=0).tolist()
        return {name: count for name, count in zip(self.categories, counts, strict=True) if count}

    def never_missing(self, columns: Columns, rows: Tensor) -> dict[str, int]:
        """Counts rows where a number is missing that no train row lacks, by column, where there are any."""
        if self.sometimes_missing is None or not self.medians:
            return {}
        counts = torch.zeros(len(self.medians), dtype=torch.int64)
        for piece in rows.split(max(1, CELLS // len(self.medians))):
            counts += columns.numbers[piece].isnan().sum(dim=0)
        taught = {*self.sometimes_missing}
        each = zip(columns.number_names, counts.tolist(), strict=True)
        return {name: count for name, count in each if count and name not in taught}

    def unlearned(self, columns: Columns, rows: Tensor) -> dict[str, int]:
        """Counts rows with a value that no train row can have taught anything about, by a sentence about it."""
        unknown = {
            f"categories of {name} that no train row has": count for name, count in self.unknown(columns, rows).items()
        }
        missing = {
            f"{name} missing, as in no train row, and taken as the median": count
            for name, count in self.never_missing(columns, rows).items()
        }
        return unknown | missing

    def state_dict(self) -> dict[str, Any]:
        """Returns plain values."""
        return asdict(self)


def learn(columns: Columns, train: Tensor, missing_columns: bool = True) -> Encoding:
    """Learns the encoding from the train rows, by their ids, with or without columns for missing values.

    Raises ``ColumnError`` for a column without a value.
    """
    medians, categories, sometimes_missing = {}, {}, []
    for index, name in enumerate(columns.number_names):
        values = columns.numbers[train, index : index + 1].flatten()
        present = values[~values.isnan()]
        check_any_value(name, len(present), len(train))
        if len(present) < len(train):
            sometimes_missing.append(name)
        medians[name] = numpy.median(present.numpy()).item()  # numpy.nanmedian is ten times slower on few rows
    for name, column, levels in zip(columns.category_names, columns.codes.T, columns.levels, strict=True):
        codes = column[train].unique()
        check_any_value(name, int((codes >= 0).sum()), len(train))
        # The levels of a file are sorted, so that those of other rows do not change the order.
        categories[name] = [levels[code] for code in codes.tolist() if code >= 0]
    return Encoding(medians, categories, sometimes_missing if missing_columns else None)


def check_any_value(name: str, count: int, rows: int) -> None:
    """Raises ``ColumnError`` for a column with no value in the train rows."""
    if not count:
        raise ColumnError(name, f"column {name} has no value in the {rows:,} train rows; drop it with --data.drop")


def learn_numbers(columns: Columns, encoding: Encoding, train: Tensor, method: Method) -> Normalizer:
    """Returns the normalizer of the numbers, learned from the train rows with none missing, some columns at a time."""
    # Never one column of several alone: torch sums a contiguous column in another order.
    count = columns.numbers.shape[1]
    ends = torch.arange(count).tensor_split(max(1, count // AT_ONCE))
    groups = [slice(int(end[0]), int(end[-1]) + 1) if count else slice(None) for end in ends]
    parts = [normalization.learn(encoding.numbers(columns, train, group), method) for group in groups]
    states = [part.state_dict() for part in parts]
    return normalization.restore({name: torch.cat([state[name] for state in states]) for name in states[0]})
