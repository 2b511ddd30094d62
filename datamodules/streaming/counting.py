"""One pass over rows on disk that says how many of them are where."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.splitting.splits import PARTS
from datamodules.streaming.dealing import TRAIN
from datamodules.streaming.dealt import DealtRows


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
