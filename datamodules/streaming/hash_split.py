"""Deterministic hash split, computed row by row from the row's number, group or file."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.errors import DataError
from datamodules.splitting.grouping import train_and_val
from datamodules.splitting.split_options import VAL_GIVEN, SplitSettings
from datamodules.streaming.npy_file import DiskArray

TRAIN, VAL, TEST, LEFT_OUT = range(4)
"""Splits of rows, and train rows that ``train_fraction`` leaves out."""

Key = NDArray[numpy.uint64]


def uniform(key: Key, seed: int) -> NDArray[numpy.float64]:
    """Returns a number in [0, 1) for each key, a function of key and seed: SplitMix64 (Steele, Lea & Flood 2014)."""
    with numpy.errstate(over="ignore"):
        bits = _mixed(key ^ _mixed(numpy.uint64(seed % 2**64))) >> numpy.uint64(11)
    return bits.astype(numpy.float64) * 2.0**-53


@dataclass(frozen=True)
class HashSplit:
    """Split of each row, computed for any range of rows, with nothing kept in memory.

    Rows are split by a hash of their number, or of their group's value, and of the split seed: each is in a split with
    the probability that the ratios give it, so that the fraction p of n rows is met to about sqrt(p (1 - p) / n). The
    same holds for ``train_fraction``.
    Raises ``DataError`` for options that exclude each other.
    """

    rows: int  # number of all rows
    settings: SplitSettings
    files: tuple[int, int] | None = None  # first rows of a val and a test file, equal without a val file
    keys: DiskArray | None = None  # hashes of the group (N,), or split indices from a split column
    has_val: bool = False  # whether the column or the files contain validation rows

    def __post_init__(self) -> None:
        if self.files is not None and self.settings.option is not None:
            raise DataError("these data come with a test part; leave out --data.test_path to split them another way")
        if self.has_val and self.settings.val_fold is not None:
            raise DataError(VAL_GIVEN)

    def indices(self, start: int, stop: int) -> Tensor:
        """Returns the splits of rows from ``start`` to before ``stop``, (n,) uint8: train, val, test, or left out.

        A train row, or all of its group, is in use if another hash is below ``train_fraction``.
        """
        split, settings = self.undivided(start, stop), self.settings
        if settings.train_fraction < 1:
            number = numpy.arange(start, start + len(split), dtype=numpy.uint64)
            key = self._read_keys(start, stop) if settings.group is not None else number
            split[(split.numpy() == TRAIN) & (uniform(key, settings.seed + 2) >= settings.train_fraction)] = LEFT_OUT
        return split

    def undivided(self, start: int, stop: int) -> Tensor:
        """Returns the splits (n,) uint8 of rows, without regard to ``train_fraction``."""
        return torch.from_numpy(self._indices(start, stop).astype(numpy.uint8))

    def _read_keys(self, start: int, stop: int) -> Key:
        assert self.keys is not None
        return self.keys.read(start, stop).numpy().view(numpy.uint64)

    def _indices(self, start: int, stop: int) -> NDArray[numpy.integer]:
        settings, number = self.settings, numpy.arange(start, min(stop, self.rows), dtype=numpy.uint64)
        key = number if self.keys is None else self._read_keys(start, stop)
        split = self._without_val_fold(key, number)
        if settings.val_fold is None:
            return split
        fold, folds = settings.val_fold
        is_val = numpy.floor(uniform(key, settings.seed + 3) * folds) == fold
        return numpy.where(split == TEST, TEST, numpy.where(is_val, VAL, TRAIN))

    def _without_val_fold(self, key: Key, number: Key) -> NDArray[numpy.integer]:
        settings = self.settings
        if settings.folds is not None:
            is_test = numpy.floor(uniform(key, settings.seed) * settings.folds) == settings.fold
            return numpy.where(is_test, TEST, self._train_or_val(key))
        if settings.split_column is None and self.files is None:
            return _by_fractions(uniform(key, settings.seed), settings.ratios)
        ends = numpy.array(self.files or (), dtype=numpy.uint64)
        given = key if self.files is None else numpy.searchsorted(ends, number, side="right")
        return given if self.has_val else numpy.where(given == TRAIN, self._train_or_val(number), given)

    def _train_or_val(self, key: Key) -> NDArray[numpy.integer]:
        return _by_fractions(uniform(key, self.settings.seed + 1), train_and_val(self.settings.ratios))


def sampled(start: int, stop: int, fraction: float) -> NDArray[numpy.bool_]:
    """Returns which rows from ``start`` to before ``stop`` are in a sample of about a fraction of all rows."""
    return uniform(numpy.arange(start, stop, dtype=numpy.uint64), 2**40) < fraction


def _by_fractions(drawn: NDArray[numpy.float64], fractions: Sequence[float]) -> NDArray[numpy.integer]:
    edges = [math.fsum(fractions[: index + 1]) for index in range(len(fractions) - 1)]
    return numpy.searchsorted(numpy.array(edges), drawn, side="right")


def _mixed(value: Key | numpy.uint64) -> Key:
    mixed = numpy.asarray(value) + numpy.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> numpy.uint64(31))
