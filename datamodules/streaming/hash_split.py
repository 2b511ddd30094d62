"""Deterministic hash split, computed row by row from the row's number, group or file."""

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
    """Returns a number in [0, 1) for each key, a function of key and seed: SplitMix64 (Steele, Lea & Flood 2014)."""
    with numpy.errstate(over="ignore"):
        bits = _mixed(key ^ _mixed(numpy.uint64(seed % 2**64))) >> numpy.uint64(11)
    return bits.astype(numpy.float64) * 2.0**-53


class SplitFiles(NamedTuple):
    """First row of a validation and of a test file; the number of all rows without such a file."""

    val: int
    test: int


class HashSplit:
    """Split of each row, computed for any range of rows, with nothing kept in memory.

    Rows are split by a hash of their number, or of their group's value, and of the split seed: each is in a split with
    the probability that the ratios give it, so that the fraction p of n rows is met to about sqrt(p (1 - p) / n).

    Args:
        rows: Number of all rows.
        settings: Options of the split.
        files: Rows of a val and a test file.
        keys: Hashes of the group (N,), or split indices from a split column.
        has_val: Whether the column or the files contain validation rows.

    Raises:
        DataError: For options that exclude each other.
    """

    def __init__(
        self, rows: int, settings: SplitSettings, files: SplitFiles | None, keys: DiskArray | None, has_val: bool
    ) -> None:
        if files is not None and settings.option is not None:
            raise DataError("these data come with a test part; leave out --data.test_path to split them another way")
        self.rows = rows
        self.settings = settings
        self.files = files
        self.keys = keys
        self.has_val = has_val

    def indices(self, start: int, stop: int) -> Tensor:
        """Returns the splits of rows from ``start`` to before ``stop``, (n,) uint8: 0 train, 1 val, 2 test."""
        settings, number = self.settings, numpy.arange(start, min(stop, self.rows), dtype=numpy.uint64)
        key = number if self.keys is None else self.keys.read(start, stop).numpy().view(numpy.uint64)
        if settings.split_column is not None:
            return self._with_val(key.astype(numpy.uint8), number)
        if self.files is not None:
            ends = numpy.array([self.files.val, self.files.test], dtype=numpy.uint64)
            return self._with_val(numpy.searchsorted(ends, number, side="right").astype(numpy.uint8), number)
        if settings.folds is not None:
            is_test = numpy.floor(uniform(key, settings.seed) * settings.folds) == settings.fold
            return _as_tensor(numpy.where(is_test, TEST, self._train_or_val(key)))
        return _as_tensor(_by_fractions(uniform(key, settings.seed), settings.ratios))

    def _with_val(self, index: NDArray[numpy.uint8], number: Key) -> Tensor:
        if not self.has_val:
            index = numpy.where(index == TRAIN, self._train_or_val(number), index)
        return _as_tensor(index)

    def _train_or_val(self, key: Key) -> NDArray[numpy.uint8]:
        return _by_fractions(uniform(key, self.settings.seed + 1), train_and_val(self.settings.ratios))


def sampled(start: int, stop: int, fraction: float) -> NDArray[numpy.bool_]:
    """Returns which rows from ``start`` to before ``stop`` are in a sample of about a fraction of all rows."""
    return uniform(numpy.arange(start, stop, dtype=numpy.uint64), 2**40) < fraction


def _by_fractions(drawn: NDArray[numpy.float64], fractions: Sequence[float]) -> NDArray[numpy.uint8]:
    edges = [math.fsum(fractions[: index + 1]) for index in range(len(fractions) - 1)]
    return numpy.searchsorted(numpy.array(edges), drawn, side="right").astype(numpy.uint8)


def _as_tensor(index: NDArray[numpy.uint8]) -> Tensor:
    return torch.from_numpy(index.astype(numpy.uint8))


def _mixed(value: Key | numpy.uint64) -> Key:
    mixed = numpy.asarray(value) + numpy.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> numpy.uint64(31))
