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

CELLS = 2**18  # numbers that are hashed at a time


@dataclass
class Rows:
    """All rows of a data set, in an order that never changes."""

    x: Tensor  # inputs (N, *input_shape), any number type
    y: Tensor  # targets: class indices (N,), labels (N, L), or values (N,) or (N, R)
    test: Tensor | None = None  # row ids of a test split that the data come with
    val: Tensor | None = None  # row ids of a validation split that they come with besides
    lengths: Tensor | None = None  # steps (N,) int64, at least 1, where rows of series or text are padded at their end
    about: polars.DataFrame | None = None  # columns that the split may depend on, such as a person or a day, N rows

    def tensors(self) -> list[Tensor]:
        """Returns the tensors that make up a row, each with N entries."""
        return [self.x, self.y] if self.lengths is None else [self.x, self.y, self.lengths]

    def check(self, name: str, classes: int | None) -> None:
        """Raises ``DataError`` for rows that cannot be trained on, of one of so many classes if they have one."""
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
    hashes = (hashlib.blake2b(b"".join(map(bytes, row)), digest_size=16) for row in zip(*arrays, strict=True))
    return torch.tensor([seen.setdefault(sha.digest(), row) for row, sha in enumerate(hashes)])


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


def digest_of_cells(column: polars.Series) -> str:
    """Returns 32 digits of SHA-256 of a column as it was read; whole numbers count as floats."""
    sha = hashlib.sha256(column.is_null().to_numpy().data)
    if column.dtype.is_numeric() or column.dtype.is_temporal() or column.dtype == polars.Boolean:
        numbers = column.drop_nulls().to_physical().cast(polars.Float64)
    else:
        texts = column.drop_nulls().cast(polars.String, strict=False).fill_null("")
        sha.update(texts.str.join("").item().encode())
        numbers = texts.str.len_bytes()
    sha.update(numbers.to_numpy().data)
    return sha.hexdigest()[:32]


def valid(lengths: Tensor, steps: int) -> Tensor:
    """Returns a mask of the steps of each row that are no padding, (N, steps) bool."""
    return torch.arange(steps) < lengths.unsqueeze(1)


def evenly_spaced(rows: Tensor, most: int) -> Tensor:
    """Returns rows of (N,) at equal distances, at most so many of them."""
    return rows[:: max(1, -(-len(rows) // most))]
