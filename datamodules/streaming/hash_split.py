"""The split of rows that are too many to list: a part follows from the row's number, group or file alone."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.errors import DataError
from datamodules.splitting.grouping import train_and_val
from datamodules.splitting.split_options import SplitSettings
from datamodules.streaming.npy_file import DiskArray

TRAIN, VAL, TEST = range(3)
Key = NDArray[numpy.uint64]


def uniform(key: Key, seed: int) -> NDArray[numpy.float64]:
    """A number in [0, 1) for each key, a function of key and seed: SplitMix64 (Steele, Lea & Flood 2014)."""
    with numpy.errstate(over="ignore"):
        bits = _mixed(key ^ _mixed(numpy.uint64(seed % 2**64))) >> numpy.uint64(11)
    return bits.astype(numpy.float64) * 2.0**-53


class Given(NamedTuple):
    """Where the rows of a validation and a test file begin; the number of all rows without such a file."""

    val: int
    test: int


class Dealing:
    """Which part each row is in, computed for any piece of the rows, with nothing kept in memory.

    Rows are dealt by a hash of their number, or of their group's value, and of the split seed: each is in a part with
    the probability that the ratios say, so that of n rows a part's share p is met to about sqrt(p (1 - p) / n).

    Args:
        rows: Number of all rows.
        settings: What was said about the split.
        given: Rows of a val and a test file.
        keys: Hashes of the group (N,), or numbers of the parts that a column names.
        has_val: Whether the column or the files give a val part.

    Raises:
        DataError: For settings that exclude each other, or a fold that does not exist.
    """

    def __init__(
        self, rows: int, settings: SplitSettings, given: Given | None, keys: DiskArray | None, has_val: bool
    ) -> None:
        if given is not None and settings.way is not None:
            raise DataError("these data come with a test part; leave out --data.test_path to split them another way")
        folds, fold = settings.folds, settings.fold
        if folds is not None and (folds < 2 or not 0 <= fold < folds):
            raise DataError(f"folds are at least 2 and fold counts from 0 to folds - 1; they are {folds} and {fold}")
        self.rows = rows
        self.settings = settings
        self.given = given
        self.keys = keys
        self.has_val = has_val

    def parts(self, start: int, stop: int) -> Tensor:
        """The parts of rows from ``start`` to before ``stop``, (n,) uint8: 0 train, 1 val, 2 test."""
        settings, number = self.settings, numpy.arange(start, min(stop, self.rows), dtype=numpy.uint64)
        key = number if self.keys is None else self.keys.read(start, stop).numpy().view(numpy.uint64)
        if settings.split_column is not None:
            return self._with_val(key.astype(numpy.uint8), number)
        if self.given is not None:
            ends = numpy.array([self.given.val, self.given.test], dtype=numpy.uint64)
            return self._with_val(numpy.searchsorted(ends, number, side="right").astype(numpy.uint8), number)
        if settings.folds is not None:
            is_test = numpy.floor(uniform(key, settings.seed) * settings.folds) == settings.fold
            return _parts(numpy.where(is_test, TEST, self._train_or_val(key)))
        return _parts(_dealt(uniform(key, settings.seed), settings.ratios))

    def _with_val(self, part: NDArray[numpy.uint8], number: Key) -> Tensor:
        if not self.has_val:
            part = numpy.where(part == TRAIN, self._train_or_val(number), part)
        return _parts(part)

    def _train_or_val(self, key: Key) -> NDArray[numpy.uint8]:
        return _dealt(uniform(key, self.settings.seed + 1), train_and_val(self.settings.ratios))


def sampled(start: int, stop: int, share: float) -> NDArray[numpy.bool_]:
    """Which rows from ``start`` to before ``stop`` are in a sample of about a share of all rows."""
    return uniform(numpy.arange(start, stop, dtype=numpy.uint64), 2**40) < share


def _dealt(drawn: NDArray[numpy.float64], shares: Sequence[float]) -> NDArray[numpy.uint8]:
    edges = [math.fsum(shares[: index + 1]) for index in range(len(shares) - 1)]
    return numpy.searchsorted(numpy.array(edges), drawn, side="right").astype(numpy.uint8)


def _parts(part: NDArray[numpy.uint8]) -> Tensor:
    return torch.from_numpy(part.astype(numpy.uint8))


def _mixed(value: Key | numpy.uint64) -> Key:
    mixed = numpy.asarray(value) + numpy.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> numpy.uint64(31))
