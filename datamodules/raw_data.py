"""Rows of a data set as they were read: checks, copies and digests."""

import hashlib
from dataclasses import dataclass
from math import prod

import numpy
import polars
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.tables.lazy_numbers import Numbers

CELLS = 2**18
"""Numbers that are hashed at a time."""


@dataclass
class Rows:
    """All rows of a data set, in an order that never changes.

    Args:
        x: Inputs (N, *input_shape), any number type.
        y: Targets: class indices (N,), labels (N, L), or values (N,) or (N, R).
        test: Row ids of a test split that the data come with; None if there is none.
        val: Row ids of a validation split that they come with besides.
        lengths: Steps of each row (N,) int64, at least 1, where rows of series or text are padded at their end.
        about: Columns that the split may depend on, such as a person or a day, N rows.
    """

    x: Tensor
    y: Tensor
    test: Tensor | None = None
    val: Tensor | None = None
    lengths: Tensor | None = None
    about: polars.DataFrame | None = None

    def tensors(self) -> list[Tensor]:
        """Returns the tensors that make up a row, each with N entries."""
        return [self.x, self.y] if self.lengths is None else [self.x, self.y, self.lengths]

    def check(self, name: str, classes: int | None) -> None:
        """Raises ``DataError`` for rows that cannot be trained on.

        Args:
            name: Name of the data set.
            classes: Number of classes if a row has one class.
        """
        if len(self.x) != len(self.y):
            raise DataError(f"{name} has {len(self.x)} rows of inputs and {len(self.y)} of targets")
        for noun, values in (("inputs", self.x), ("targets", self.y)):
            if not len(values):
                raise DataError(f"{name} has no rows")
            bad = ~values.isfinite().reshape(len(values), -1).all(dim=1)
            if bad.any():
                raise DataError(
                    f"{int(bad.sum())} of {len(bad)} rows of {name} have NaN or infinite {noun}, "
                    f"the first of them row {int(bad.nonzero()[0])}; fill them in or drop the rows"
                )
        if classes is not None:
            low, high = int(self.y.min()), int(self.y.max())
            if low < 0 or high >= classes:
                raise DataError(f"{name} has classes {low} to {high}, and they must be 0 to {classes - 1}")


def first_copies(*tensors: Tensor) -> Tensor:
    """Returns for each row of tensors (N, ...) the id of the first row that is equal in all of them, (N,)."""
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
    """Returns for each row of a frame the id of the first equal row, (N,)."""
    hashes = frame.hash_rows().to_numpy()
    ordered = numpy.sort(hashes)
    # A row with a hash of its own has no copy; the others are compared in full.
    suspects = numpy.isin(hashes, ordered[1:][ordered[1:] == ordered[:-1]]).nonzero()[0]
    named = frame[suspects].rename({name: str(index) for index, name in enumerate(frame.columns)})
    firsts = named.with_columns(row=suspects).select(polars.col("row").min().over(named.columns)).to_series()
    first = torch.arange(len(frame))
    first[torch.from_numpy(suspects)] = torch.tensor(firsts.to_numpy())
    return first


def digest(*tensors: Tensor | Numbers) -> str:
    """Returns SHA-256 of tensors, their types and shapes."""
    sha = hashlib.sha256()
    for tensor in tensors:
        sha.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        size = max(1, CELLS // max(1, prod(tensor.shape[1:])))
        for start in range(0, len(tensor), size):
            sha.update(tensor[start : start + size].contiguous().numpy().data)
    return sha.hexdigest()


def valid(lengths: Tensor, steps: int) -> Tensor:
    """Returns a mask of the steps of each row that are no padding, (N, steps) bool."""
    return torch.arange(steps) < lengths.unsqueeze(1)
