"""A split is a function of the data and the split seed alone: disjoint, complete, in proportion, or refused."""

from math import ceil

import lightning.pytorch as pl
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from tiny_data import QUICK, small_data
from torch import Tensor

from datamodules import DataError, InMemoryData
from datamodules.splitting.splits import split_rows

RATIOS = st.lists(st.integers(1, 20), min_size=3, max_size=3).map(lambda shares: [one / sum(shares) for one in shares])
SIZES = st.lists(st.integers(3, 90), min_size=1, max_size=6)
"""Rows of each class."""


def shuffled_labels(sizes: list[int]) -> Tensor:
    labels = torch.cat([torch.full((size,), label) for label, size in enumerate(sizes)])
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(len(labels)))]


def parts_of(data: InMemoryData) -> list[Tensor]:
    data.setup("fit")
    assert data.split is not None
    return list(data.split)


def assert_every_row_once(parts: list[Tensor], rows: Tensor) -> None:
    assert torch.equal(torch.cat(parts).sort().values, rows.sort().values)
    assert all(torch.equal(part, part.sort().values) for part in parts)


@QUICK
@given(RATIOS, st.integers(0, 100), st.integers(0, 2**32))
@example([0.7, 0.2, 0.1], 990, 0)  # these sum to 0.9999999999999999
def test_every_row_is_in_one_part_and_counts_are_the_ratios(ratios: list[float], more: int, seed: int) -> None:
    rows = torch.arange(ceil(1 / min(ratios)) + more) * 3  # row numbers with gaps, as around a predefined test part
    parts = split_rows(rows, ratios, seed)
    assert_every_row_once(parts, rows)
    for part, share in zip(parts, ratios, strict=True):
        assert abs(len(part) - share * len(rows)) < 1 + 1e-9


@QUICK
@given(RATIOS, SIZES, st.integers(0, 2**32))
@example([0.7, 0.15, 0.15], [4] * 10 + [105], 0)  # many small classes leave one part short of what it is owed
def test_a_stratified_split_gives_every_part_its_share_of_every_class(
    ratios: list[float], sizes: list[int], seed: int
) -> None:
    labels = shuffled_labels(sizes)
    parts = split_rows(torch.arange(len(labels)), ratios, seed, labels)
    assert_every_row_once(parts, torch.arange(len(labels)))
    for label, size in enumerate(sizes):
        counts = [int((labels[part] == label).sum()) for part in parts]
        assert min(counts) >= 1
        if min(ratios) * size >= 1:  # a smaller class gives each part one row first
            assert all(abs(count - share * size) < 1 + 1e-9 for count, share in zip(counts, ratios, strict=True))


def test_the_odd_rows_of_many_classes_do_not_all_go_to_one_part() -> None:
    labels = shuffled_labels([11] * 100)
    parts = split_rows(torch.arange(1100), (0.7, 0.15, 0.15), 0, labels)
    assert [len(part) for part in parts] == pytest.approx([770, 165, 165], abs=2)


@pytest.mark.parametrize("stratify", [True, False])
def test_a_split_depends_on_its_own_seed_and_on_no_other(stratify: bool) -> None:
    x, y = torch.randn(200, 2), torch.arange(200) % 4

    def parts(training_seed: int, split_seed: int) -> list[Tensor]:
        pl.seed_everything(training_seed, verbose=False)
        return parts_of(small_data(x, y, stratify=stratify, split_seed=split_seed))

    first, again, other = parts(1, 5), parts(2, 5), parts(1, 6)
    assert all(map(torch.equal, first, again))
    assert not any(map(torch.equal, first, other))


def test_splitting_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    parts_of(small_data(torch.zeros(60, 2), torch.arange(60) % 3))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_default_is_70_15_15_stratified() -> None:
    y = shuffled_labels([100, 200])
    parts = parts_of(small_data(torch.randn(300, 2), y))
    assert [y[part].bincount().tolist() for part in parts] == [[70, 140], [15, 30], [15, 30]]


def test_validation_is_carved_from_train_where_the_test_part_is_given() -> None:
    y = shuffled_labels([140, 280])
    test = torch.cat([(y == 0).nonzero()[:55], (y == 1).nonzero()[:25]]).squeeze(1).flip(0)
    train, val, kept = parts_of(small_data(torch.randn(420, 2), y, test=test))
    assert torch.equal(kept, test.sort().values)
    assert_every_row_once([train, val, kept], torch.arange(420))
    # 70 to 15 of the 85 and 255 rows that are left.
    assert y[train].bincount().tolist() == [70, 210]
    assert y[val].bincount().tolist() == [15, 45]


@pytest.mark.parametrize(
    "ratios", [(0.7, 0.15, 0.1), (0.7, 0.3, 0.3), (0.8, 0.2, 0.0), (1.2, -0.1, -0.1), (0.5, 0.5), (float("nan"),) * 3]
)
def test_ratios_that_are_no_shares_are_refused(ratios: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match="each above 0 but for val, which may be 0, and sum to 1"):
        small_data(torch.zeros(9, 2), torch.zeros(9), ratios=ratios)


@pytest.mark.parametrize(
    ("names", "rows", "message"),
    [(("cat", "dog", "eel"), 1, "class eel has 1 row,"), ((), 1, "class 2 has 1 row,"), ((), 2, "class 2 has 2 rows")],
)
def test_a_class_too_small_to_stratify_is_named(names: tuple[str, ...], rows: int, message: str) -> None:
    data = small_data(torch.zeros(40 + rows, 2), shuffled_labels([20, 20, rows]))
    data.class_names = names
    with pytest.raises(DataError, match=f"{message}.*--data.stratify false"):
        data.setup("fit")


def test_a_small_class_is_taken_where_nobody_stratifies() -> None:
    parts = parts_of(small_data(torch.zeros(41, 2), shuffled_labels([20, 20, 1]), stratify=False))
    assert_every_row_once(parts, torch.arange(41))


def test_a_part_without_a_row_is_refused() -> None:
    with pytest.raises(DataError, match=r"0.15 of 3 rows leave the (val|test) part empty"):
        small_data(torch.zeros(3, 2), torch.arange(3.0), "regression").setup("fit")


def test_a_test_part_of_all_rows_is_refused() -> None:
    with pytest.raises(DataError, match="0 rows to train"):
        small_data(torch.zeros(9, 2), torch.arange(9.0), "regression", test=torch.arange(9)).setup("fit")


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_there_is_nothing_to_stratify_without_one_class_a_row(task: str) -> None:
    y = torch.randint(2, (30, 2)).float()
    assert_every_row_once(parts_of(small_data(torch.zeros(30, 2), y, task)), torch.arange(30))
    with pytest.raises(DataError, match=f"the task is {task}; set --data.stratify false"):
        small_data(torch.zeros(30, 2), y, task, stratify=True).setup("fit")
