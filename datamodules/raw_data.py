"""The rows of a data set as they were read, and what can be wrong with them."""

import hashlib
from dataclasses import dataclass
from math import prod
from typing import Protocol

import numpy
import polars
import torch
from torch import Tensor

from datamodules.errors import DataError

CELLS = 2**18
"""So many numbers are hashed at a time."""


class Sliceable(Protocol):
    """A tensor, or what makes tensors of slices of its rows."""

    @property
    def dtype(self) -> torch.dtype:
        """Of the values."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows first."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> Tensor: ...


@dataclass
class Rows:
    """All rows of a data set, in an order that never changes.

    Args:
        x: Inputs (N, *input_shape), any number type.
        y: Targets: class indices (N,), labels (N, L), or values (N,) or (N, R).
        test: Row numbers of a test part that the data come with; None where there is none.
        val: Row numbers of a validation part that they come with besides.
        lengths: Steps of each row (N,) int64, at least 1, where rows of series or text are padded at their end.
        about: Columns that the split may go by, such as a person or a day, N rows.
    """

    x: Tensor
    y: Tensor
    test: Tensor | None = None
    val: Tensor | None = None
    lengths: Tensor | None = None
    about: polars.DataFrame | None = None

    def tensors(self) -> list[Tensor]:
        """What a row consists of, each with N entries."""
        return [self.x, self.y] if self.lengths is None else [self.x, self.y, self.lengths]

    def check(self, name: str, classes: int | None) -> None:
        """Raise ``DataError`` for rows that nobody could learn from.

        Args:
            name: Of the data set.
            classes: How many there are, where a row has one.
        """
        if len(self.x) != len(self.y):
            raise DataError(f"{name} has {len(self.x)} rows of inputs and {len(self.y)} of targets")
        for what, values in (("inputs", self.x), ("targets", self.y)):
            if not len(values):
                raise DataError(f"{name} has no rows")
            bad = ~values.isfinite().reshape(len(values), -1).all(dim=1)
            if bad.any():
                raise DataError(
                    f"{int(bad.sum())} of {len(bad)} rows of {name} have NaN or infinite {what}, "
                    f"the first of them row {int(bad.nonzero()[0])}; fill them in or drop the rows"
                )
        if classes is not None:
            low, high = int(self.y.min()), int(self.y.max())
            if low < 0 or high >= classes:
                raise DataError(f"{name} has classes {low} to {high}, and they must be 0 to {classes - 1}")


def first_copies(*tensors: Tensor) -> Tensor:
    """The first row that is equal to each row in all of some tensors (N, ...), as row numbers (N,)."""
    arrays = [tensor.reshape(len(tensor), -1).contiguous().numpy() for tensor in tensors]
    seen: dict[bytes, int] = {}
    first = []
    for row in range(len(arrays[0])):
        sha = hashlib.blake2b(digest_size=16)
        for array in arrays:
            sha.update(array[row].tobytes())
        first.append(seen.setdefault(sha.digest(), row))
    return torch.tensor(first)


def first_equal(frame: polars.DataFrame) -> Tensor:
    """The same for the rows of a frame."""
    hashes = frame.hash_rows().to_numpy()
    ordered = numpy.sort(hashes)
    # What has a hash of its own has no copy; the other rows are compared in full.
    suspects = numpy.isin(hashes, ordered[1:][ordered[1:] == ordered[:-1]]).nonzero()[0]
    named = frame[suspects].rename({name: str(index) for index, name in enumerate(frame.columns)})
    firsts = named.with_columns(row=suspects).select(polars.col("row").min().over(named.columns)).to_series()
    first = torch.arange(len(frame))
    first[torch.from_numpy(suspects)] = torch.tensor(firsts.to_numpy())
    return first


def digest(*tensors: Sliceable) -> str:
    """SHA-256 of tensors, their types and shapes."""
    sha = hashlib.sha256()
    for tensor in tensors:
        sha.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        size = max(1, CELLS // max(1, prod(tensor.shape[1:])))
        for start in range(0, len(tensor), size):
            sha.update(tensor[start : start + size].contiguous().numpy().data)
    return sha.hexdigest()


def valid(lengths: Tensor, steps: int) -> Tensor:
    """Which of so many steps of each row are no padding, (N, steps) bool."""
    return torch.arange(steps) < lengths.unsqueeze(1)
