"""Rows in arrays on disk with the split of each, read a block at a time, and their counts."""

import hashlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.loading.base_loader import Batch
from datamodules.splitting.splits import PARTS
from datamodules.streaming.hash_split import LEFT_OUT, TRAIN, HashSplit
from datamodules.streaming.npy_file import DiskArray

BLOCK_BYTES = 1 << 18
"""About so many bytes of consecutive rows are read at a time."""

PIECE_BLOCKS = 16
"""A pass over all rows takes so many blocks at a time."""


class PartitionedRows:
    """Rows in arrays on disk, ``x``, ``y`` and other columns of N rows each, and the split of each row."""

    def __init__(self, arrays: dict[str, DiskArray], split: HashSplit) -> None:
        self.arrays, self.split = arrays, split
        self.row_bytes = sum(array.row_bytes for array in arrays.values()) + 8
        self.block_rows = max(1, BLOCK_BYTES // self.row_bytes)
        self.piece_rows = self.block_rows * PIECE_BLOCKS

    def __len__(self) -> int:
        return self.split.rows

    def read(self, start: int, stop: int, number: int) -> Batch:
        """Returns the rows of split ``number`` from ``start`` to before ``stop``, as they are on disk, with ids."""
        positions = (self.split.indices(start, stop) == number).nonzero().flatten()
        rows = {name: array.read(start, stop).index_select(0, positions) for name, array in self.arrays.items()}
        return {**rows, "row": start + positions}

    def at(self, index: Tensor) -> Batch:
        """Returns rows as they are on disk, by their ids (n,), one read each."""
        each = [{name: array.read(row, row + 1) for name, array in self.arrays.items()} for row in index.tolist()]
        return {name: torch.cat([row[name] for row in each]) for name in self.arrays} | {"row": index}

    def pieces(self) -> Iterator[tuple[int, int]]:
        """Yields consecutive ranges of all rows, of some whole blocks each."""
        for start in range(0, len(self), self.piece_rows):
            yield start, min(start + self.piece_rows, len(self))

    def scan(self, number: int | None = None) -> Iterator[tuple[int, Batch]]:
        """Yields the rows of split ``number``, or all, a piece at a time with the id of the piece's first row.

        The next piece overwrites a piece: memory that is freed between small allocations would not be used again.
        """
        read = {
            name: torch.empty(self.piece_rows, *array.shape[1:], dtype=array.dtype)
            for name, array in self.arrays.items()
        }
        chosen: Batch = {}
        for start, stop in self.pieces():
            rows = {name: array.read(start, stop, read[name]) for name, array in self.arrays.items()}
            chosen = chosen or {name: torch.empty_like(column) for name, column in rows.items()}
            positions = torch.arange(stop - start)
            if number is not None:
                positions = (self.split.indices(start, stop) == number).nonzero().flatten()
                for name, column in rows.items():
                    rows[name] = torch.index_select(column, 0, positions, out=chosen[name][: len(positions)])
            yield start, {**rows, "row": start + positions}


class SplitBlocks(NamedTuple):
    """Blocks of one split on disk, as a ``BlockLoader`` reads them."""

    rows: PartitionedRows
    number: int
    counts: Tensor
    finish: Callable[[Batch], Batch]

    def read(self, block: int) -> Batch:
        """Returns the split's rows of a block."""
        step = self.rows.block_rows
        return self.rows.read(block * step, (block + 1) * step, self.number)


class SplitCounts(NamedTuple):
    """Number of rows of each split, block and class."""

    blocks: Tensor  # rows of each split in each block, (3, blocks) int64
    classes: Tensor  # train rows of each class, or with each label, (K,) int64; empty for regression
    digest: str  # SHA-256 of the split of each row, with the train rows that a fraction leaves out


def count(rows: PartitionedRows, classes: int) -> SplitCounts:
    """Counts the rows of each split, and of so many classes or labels, 0 for regression."""
    counts, sha = [], hashlib.sha256()
    of_classes = torch.zeros(classes, dtype=torch.int64)
    for start, stop in rows.pieces():
        split = rows.split.indices(start, stop)
        if classes:
            y = rows.arrays["y"].read(start, stop)[split == TRAIN]
            of_classes += y.sum(dim=0) if y.dim() > 1 else torch.bincount(y, minlength=classes)
        sha.update(rows.split.undivided(start, stop).numpy().tobytes())
        blocks, each = torch.arange(len(split)) // rows.block_rows, LEFT_OUT + 1
        flat = torch.bincount(blocks * each + split, minlength=(int(blocks[-1]) + 1) * each)
        counts.append(flat.view(-1, each)[:, : len(PARTS)])
    return SplitCounts(torch.cat(counts).T, of_classes, sha.hexdigest())
