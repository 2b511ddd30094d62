"""Rows in arrays on disk with the split of each, read a block at a time, and their counts."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.loading.base_loader import Batch
from datamodules.splitting.splits import PARTS
from datamodules.streaming.hash_split import TRAIN, HashSplit
from datamodules.streaming.npy_file import DiskArray
from datamodules.tables.targets import check_train_counts

BLOCK_BYTES = 1 << 18
"""About so many bytes of consecutive rows are read at a time."""

PIECE_BLOCKS = 16
"""A pass over all rows takes so many blocks at a time."""


class PartitionedRows:
    """Rows in arrays on disk, and the split of each.

    Args:
        arrays: ``x``, ``y`` and other columns of a row, each N rows.
        split: Split of each row.
    """

    def __init__(self, arrays: dict[str, DiskArray], split: HashSplit) -> None:
        self.arrays, self.split = arrays, split
        self.row_bytes = sum(array.row_bytes for array in arrays.values()) + 8
        self.block_rows = max(1, BLOCK_BYTES // self.row_bytes)
        self.piece_rows = self.block_rows * PIECE_BLOCKS

    def __len__(self) -> int:
        return self.split.rows

    def read(self, start: int, stop: int, number: int) -> Batch:
        """Returns the rows of split ``number`` from ``start`` to before ``stop``, as they are on disk, with ids."""
        stop = min(stop, len(self))
        rows = {name: array.read(start, stop) for name, array in self.arrays.items()}
        rows["row"] = torch.arange(start, stop)
        positions = (self.split.indices(start, stop) == number).nonzero().flatten()
        return {name: column.index_select(0, positions) for name, column in rows.items()}

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
            if number is not None:
                positions = (self.split.indices(start, stop) == number).nonzero().flatten()
                row = row[positions]
                for name, column in rows.items():
                    rows[name] = torch.index_select(column, 0, positions, out=chosen[name][: len(positions)])
            yield start, {**rows, "row": row}


class SplitBlocks(NamedTuple):
    """Blocks of one split on disk, as a ``BlockLoader`` reads them."""

    rows: PartitionedRows
    number: int
    counts: Tensor
    prepare: Callable[[Batch], Batch]

    def read(self, block: int) -> Batch:
        """Returns the split's rows of a block."""
        step = self.rows.block_rows
        return self.rows.read(block * step, (block + 1) * step, self.number)

    def finish(self, batch: Batch) -> Batch:
        """Converts rows as they are on disk into the model's inputs."""
        return self.prepare(batch)


@dataclass(frozen=True)
class SplitCounts:
    """Number of rows of each split, block and class.

    Args:
        blocks: Rows of each split in each block, (3, blocks) int64.
        classes: Train rows of each class, or with each label, (K,) int64; empty for regression.
        digest: SHA-256 of the split of each row.
    """

    blocks: Tensor
    classes: Tensor
    digest: str

    def parts(self) -> dict[str, int]:
        """Returns the rows of each split."""
        return dict(zip(PARTS, self.blocks.sum(dim=1).tolist(), strict=True))


def count(rows: PartitionedRows, classes: int) -> SplitCounts:
    """Counts the rows of each split, and of so many classes or labels; 0 classes for regression."""
    counts, sha = [], hashlib.sha256()
    of_classes = torch.zeros(classes, dtype=torch.int64)
    for start, stop in rows.pieces():
        split = rows.split.indices(start, stop)
        if classes:
            y = rows.arrays["y"].read(start, stop)[split == TRAIN]
            of_classes += y.sum(dim=0) if y.dim() > 1 else torch.bincount(y, minlength=classes)
        sha.update(split.numpy().tobytes())
        blocks = torch.arange(len(split)) // rows.block_rows
        flat = torch.bincount(blocks * len(PARTS) + split, minlength=(int(blocks[-1]) + 1) * len(PARTS))
        counts.append(flat.view(-1, len(PARTS)))
    return SplitCounts(torch.cat(counts).T, of_classes, sha.hexdigest())


def check_counts(counts: SplitCounts, names: Sequence[str], multilabel: bool, validates: bool) -> None:
    """Raises ``DataError`` for a split without a row, and for a class or label that the train rows lack.

    Args:
        counts: Of all rows.
        names: Of the classes or labels.
        multilabel: Whether a row has several labels.
        validates: Whether there must be validation rows.
    """
    parts = counts.parts()
    for split, rows in parts.items():
        if not rows and (split != "val" or validates):
            raise DataError(
                f"none of the {sum(parts.values()):,} rows is in the {split} part; change the split or add rows"
            )
    check_train_counts(names, counts.classes, parts["train"], multilabel)
