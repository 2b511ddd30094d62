"""Rows on disk that are dealt to train, val and test, read some at a time."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.loading.base_loader import Batch
from datamodules.splitting.splits import PARTS
from datamodules.streaming.hash_split import TRAIN, Dealing
from datamodules.streaming.npy_file import DiskArray

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


@dataclass(frozen=True)
class Counts:
    """How many rows there are.

    Args:
        blocks: Rows of each part in each block, (3, blocks) int64.
        classes: Train rows of each class, or with each label, (K,) int64; none for values.
        digest: SHA-256 of the part of each row.
    """

    blocks: Tensor
    classes: Tensor
    digest: str

    def parts(self) -> dict[str, int]:
        """Rows of each part."""
        return dict(zip(PARTS, self.blocks.sum(dim=1).tolist(), strict=True))


def count(rows: DealtRows, classes: int) -> Counts:
    """Count the rows of each part, and of each of so many classes or labels, 0 where targets are values."""
    counts, sha = [], hashlib.sha256()
    found = torch.zeros(classes, dtype=torch.int64)
    for start, stop in rows.pieces():
        parts = rows.dealing.parts(start, stop)
        if classes:
            y = rows.arrays["y"].read(start, stop)[parts == TRAIN]
            found += y.sum(dim=0) if y.dim() > 1 else torch.bincount(y, minlength=classes)
        sha.update(parts.numpy().tobytes())
        blocks = torch.arange(len(parts)) // rows.block_rows
        flat = torch.bincount(blocks * len(PARTS) + parts, minlength=(int(blocks[-1]) + 1) * len(PARTS))
        counts.append(flat.view(-1, len(PARTS)))
    return Counts(torch.cat(counts).T, found, sha.hexdigest())


def check_counts(counts: Counts, names: Sequence[str], several: bool, validates: bool) -> None:
    """Raise ``DataError`` for a part without a row, and for a class or label that the train rows cannot teach.

    Args:
        counts: Of all rows.
        names: Of the classes or labels.
        several: Whether a row has several labels, each of which some rows are to have and some not.
        validates: Whether there is to be a validation part.
    """
    parts = counts.parts()
    for part, rows in parts.items():
        if not rows and (part != "val" or validates):
            raise DataError(
                f"none of the {sum(parts.values()):,} rows is in the {part} part; change the split or add rows"
            )
    lacking = (counts.classes == 0) | ((counts.classes == parts["train"]) & several)
    without = [name for name, lacks in zip(names, lacking.tolist(), strict=True) if lacks]
    if without:
        what = f"label {without[0]} is the same in" if several else f"class {without[0]} is in none of"
        raise DataError(
            f"{what} the {parts['train']:,} train rows, so that nothing can be learned of it; choose another split"
        )
