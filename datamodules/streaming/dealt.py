"""Rows on disk that are dealt to train, val and test, read some at a time."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.loaders import Batch
from datamodules.streaming.dealing import Dealing
from datamodules.streaming.disk import DiskArray

BLOCK_BYTES = 1 << 18
"""About so many bytes of consecutive rows are read at a time."""

PIECE_BLOCKS = 16
"""A pass over all rows takes so many blocks at a time."""


class DealtRows:
    """Rows that stand in arrays on disk, and the part of each.

    Args:
        arrays: ``x``, ``y`` and what else a row has, each N rows.
        dealing: Which part each is in.
    """

    def __init__(self, arrays: dict[str, DiskArray], dealing: Dealing) -> None:
        self.arrays, self.dealing = arrays, dealing
        self.row_bytes = sum(array.row_bytes for array in arrays.values()) + 8
        self.block_rows = max(1, BLOCK_BYTES // self.row_bytes)
        self.piece_rows = self.block_rows * PIECE_BLOCKS

    def __len__(self) -> int:
        return self.dealing.rows

    def read(self, start: int, stop: int, part: int) -> Batch:
        """The rows of a part from ``start`` to before ``stop``, as they are on disk, with their ids."""
        stop = min(stop, len(self))
        rows = {name: array.read(start, stop) for name, array in self.arrays.items()}
        rows["row"] = torch.arange(start, stop)
        mine = (self.dealing.parts(start, stop) == part).nonzero().flatten()
        return {name: column.index_select(0, mine) for name, column in rows.items()}

    def at(self, index: Tensor) -> Batch:
        """Some rows as they are on disk, by their numbers (n,), one read each."""
        each = [{name: array.read(row, row + 1) for name, array in self.arrays.items()} for row in index.tolist()]
        return {name: torch.cat([one[name] for one in each]) for name in self.arrays} | {"row": index}

    def pieces(self) -> Iterator[tuple[int, int]]:
        """Consecutive ranges of all rows, each some whole blocks."""
        for start in range(0, len(self), self.piece_rows):
            yield start, min(start + self.piece_rows, len(self))

    def scan(self, part: int | None = None) -> Iterator[tuple[int, Batch]]:
        """The rows of a part, or of all, a piece at a time with the number of its first row.

        A piece is overwritten by the next: what was freed between small things that stay would not be used again.
        """
        read, chosen = (
            {
                name: torch.empty(self.piece_rows, *array.shape[1:], dtype=array.dtype)
                for name, array in self.arrays.items()
            }
            for _ in range(2)
        )
        for start, stop in self.pieces():
            rows = {name: array.read(start, stop, read[name]) for name, array in self.arrays.items()}
            row = torch.arange(start, stop)
            if part is not None:
                mine = (self.dealing.parts(start, stop) == part).nonzero().flatten()
                row = row[mine]
                for name, column in rows.items():
                    rows[name] = torch.index_select(column, 0, mine, out=chosen[name][: len(mine)])
            yield start, {**rows, "row": row}


class Part(NamedTuple):
    """The rows of a part on disk, as a ``BlockLoader`` reads them."""

    rows: DealtRows
    number: int
    counts: Tensor
    prepare: Callable[[Batch], Batch]

    def read(self, block: int) -> Batch:
        """A block's rows of the part."""
        step = self.rows.block_rows
        return self.rows.read(block * step, (block + 1) * step, self.number)

    def finish(self, batch: Batch) -> Batch:
        """What a model is given of them."""
        return self.prepare(batch)
