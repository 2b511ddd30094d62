"""The hash split is SplitMix64 bit for bit, and gives the splits that its random numbers say."""

from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

from datamodules import DataError
from datamodules.splitting.split_options import SplitSettings
from datamodules.streaming.hash_split import HashSplit, sampled, uniform
from datamodules.streaming.npy_file import DiskArray

GAMMA = 0x9E3779B97F4A7C15
PUBLISHED = (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC, 0x1B39896A51A8749B)
"""First outputs of SplitMix64 with seed 0: https://prng.di.unimi.it/splitmix64.c. Output n mixes n * GAMMA."""

RATIOS = (0.7, 0.15, 0.15)
ROWS = 3000


def settings(**kwargs: Any) -> SplitSettings:
    defaults = {"ratios": RATIOS, "seed": 5, "group": None, "split_column": None, "folds": None, "fold": 0}
    return SplitSettings(**defaults | kwargs)


def keys(count: int = ROWS) -> numpy.ndarray:
    return numpy.arange(count, dtype=numpy.uint64)


def on_disk(path: Path, values: list[int] | numpy.ndarray) -> DiskArray:
    numpy.save(path, numpy.asarray(values, dtype=numpy.int64))
    return DiskArray(path)


def by_ratio(drawn: float, *ratios: float) -> int:
    ends = numpy.cumsum(ratios)
    return next((index for index, end in enumerate(ends[:-1]) if drawn < end), len(ends) - 1)


TRAIN_OR_VAL = [by_ratio(drawn, 0.7 / 0.85, 0.15 / 0.85) for drawn in uniform(keys(), 6)]
"""Split of rows that are not tested, with the seed after that of the split."""


def test_random_numbers_are_those_of_the_published_generator() -> None:
    # Seed 0 is mixed to the first output, which is exclusive-ored with a key.
    given = numpy.array([PUBLISHED[0] ^ (index * GAMMA % 2**64) for index in range(5)], dtype=numpy.uint64)
    assert uniform(given, 0).tolist() == [(output >> 11) / 2**53 for output in PUBLISHED]


def test_seeds_are_64_bits() -> None:
    assert uniform(keys(), 2**64 + 5).tolist() == uniform(keys(), 5).tolist()
    assert uniform(keys(), 2**64 - 1).tolist() != uniform(keys(), 2**63 - 1).tolist()
    assert uniform(keys(), 128).tolist() != uniform(keys(), 0).tolist()


def test_rows_are_split_by_their_numbers() -> None:
    split = HashSplit(ROWS, settings())
    found = split.indices(0, ROWS)
    assert found.dtype == torch.uint8
    assert found.tolist() == [by_ratio(drawn, *RATIOS) for drawn in uniform(keys(), 5)]
    assert split.indices(17, 42).tolist() == found[17:42].tolist()
    assert split.indices(ROWS - 3, ROWS + 9).tolist() == found[-3:].tolist()


def test_a_fold_is_tested_and_the_others_are_split_by_another_seed() -> None:
    drawn = uniform(keys(), 5)
    for fold in range(4):
        found = HashSplit(ROWS, settings(folds=4, fold=fold)).indices(0, ROWS).tolist()
        is_test = (drawn >= fold / 4) & (drawn < (fold + 1) / 4)
        assert found == [2 if tested else other for tested, other in zip(is_test, TRAIN_OR_VAL, strict=True)]


@pytest.mark.parametrize("options", [{}, {"folds": 4, "fold": 1}, {"ratios": (0.8, 0.0, 0.2)}])
def test_validation_folds_divide_the_rows_that_are_not_tested(options: dict[str, Any]) -> None:
    drawn, plain = uniform(keys(), 8), HashSplit(ROWS, settings(**options)).indices(0, ROWS)
    for fold in range(3):
        found = HashSplit(ROWS, settings(val_fold=(fold, 3), **options)).indices(0, ROWS)
        is_val = torch.from_numpy((drawn >= fold / 3) & (drawn < (fold + 1) / 3))
        assert torch.equal(found, torch.where(plain == 2, 2, is_val.to(torch.uint8)))


def test_a_validation_fold_of_files_divides_the_train_file_alone() -> None:
    files = HashSplit(90, settings(val_fold=(0, 3)), files=(60, 60)).indices(0, 90)
    assert {*files[:60].tolist()} == {0, 1}
    assert {*files[60:].tolist()} == {2}
    with pytest.raises(DataError, match="these data come with validation rows"):
        HashSplit(90, settings(val_fold=(0, 3)), files=(60, 80), has_val=True)


def test_rows_of_a_group_are_split_by_its_hash(tmp_path: Path) -> None:
    hashes = numpy.random.default_rng(0).integers(-(2**62), 2**62, 40)
    group = numpy.random.default_rng(1).integers(0, 40, ROWS)
    split = HashSplit(ROWS, settings(group="g"), keys=on_disk(tmp_path / "keys.npy", hashes[group]))
    of_group = [by_ratio(drawn, *RATIOS) for drawn in uniform(hashes.astype(numpy.uint64), 5)]
    assert split.indices(0, ROWS).tolist() == [of_group[index] for index in group]
    assert split.indices(100, 200).tolist() == [of_group[index] for index in group[100:200]]


def test_a_split_column_gives_the_split_and_val_is_taken_from_train_where_it_has_none(tmp_path: Path) -> None:
    column = (numpy.arange(ROWS) * 7 % 3).tolist()
    split = HashSplit(ROWS, settings(split_column="s"), keys=on_disk(tmp_path / "a.npy", column), has_val=True)
    assert split.indices(0, ROWS).tolist() == column
    column = [2 if index else 0 for index in column]
    split = HashSplit(ROWS, settings(split_column="s"), keys=on_disk(tmp_path / "b.npy", column))
    assert split.indices(0, ROWS).tolist() == [own or other for own, other in zip(column, TRAIN_OR_VAL, strict=True)]


def test_files_give_the_split() -> None:
    split = HashSplit(90, settings(), files=(60, 80), has_val=True)
    assert split.indices(0, 90).tolist() == [0] * 60 + [1] * 20 + [2] * 10
    assert split.indices(59, 61).tolist() == [0, 1]
    assert HashSplit(90, settings(), files=(60, 60)).indices(0, 90).tolist() == TRAIN_OR_VAL[:60] + [2] * 30
    with pytest.raises(DataError, match="these data come with a test part"):
        HashSplit(90, settings(folds=2), files=(60, 80))
    with pytest.raises(FrozenInstanceError):
        split.files = (60, 90)


def test_a_sample_has_the_rows_whose_random_number_is_below_the_fraction() -> None:
    drawn = uniform(keys(), 2**40)
    assert sampled(0, ROWS, 0.25).tolist() == (drawn < 0.25).tolist()
    assert sampled(40, 50, 0.25).tolist() == (drawn[40:50] < 0.25).tolist()
    assert sampled(7, 8, drawn[7]).tolist() == [False]
    assert sampled(0, ROWS, 1.0).all()
