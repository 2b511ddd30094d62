"""Splits of few rows, row by row as computed by hand."""

import pytest
import torch

from datamodules import DataError
from datamodules.splitting.grouping import (
    deal_rows,
    deal_units,
    split_by_time,
    split_fold,
    split_given,
    together,
    train_and_val,
)
from datamodules.splitting.splits import check_ratios, split_rows


def lists(split: list[torch.Tensor]) -> list[list[int]]:
    return [part.tolist() for part in split]


def order(count: int, seed: int) -> list[int]:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()


def units(*sizes: int) -> torch.Tensor:
    return together(torch.tensor([index for index, size in enumerate(sizes) for _ in range(size)]))


# Ratios


@pytest.mark.parametrize(
    "ratios", [(0.7, 0.15, 0.15), (0.5, 0.0, 0.5), (1e-3, 0.0, 1 - 1e-3), (0.7, 0.15, 0.15 + 5e-10)]
)
def test_three_fractions_that_sum_to_1_are_ratios(ratios: tuple[float, ...]) -> None:
    check_ratios(ratios)


@pytest.mark.parametrize(
    "ratios",
    [
        (0.0, 0.5, 0.5),
        (0.5, 0.5, 0.0),
        (0.6, -0.1, 0.5),
        (0.5, 0.5),
        (0.25, 0.25, 0.25, 0.25),
        (1.0,),
        (0.7, 0.15, 0.15 + 1.8e-9),
        (0.7, 0.15, 0.15 - 1.8e-9),
        (0.2, 0.2, 0.2),
    ],
)
def test_other_numbers_are_no_ratios(ratios: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match="ratios are the fractions of train, val and test"):
        check_ratios(ratios)


def test_train_and_val_keep_their_proportion() -> None:
    assert train_and_val((0.6, 0.2, 0.2)) == pytest.approx([0.75, 0.25])
    assert train_and_val((0.5, 0.0, 0.5)) == [1.0, 0.0]


# Rows


def test_splits_are_the_first_rows_of_a_permutation() -> None:
    """Of 7 rows the ratios give 4.9, 1.05 and 1.05: the row that is left goes to train."""
    rows, permuted = torch.arange(7) * 3 + 1, order(7, 5)
    expected = [sorted(3 * index + 1 for index in some) for some in (permuted[:5], permuted[5:6], permuted[6:])]
    assert lists(split_rows(rows, (0.7, 0.15, 0.15), 5)) == expected
    train, val, test = split_rows(rows, (0.7, 0.0, 0.3), 5)
    assert (len(train), len(val), len(test)) == (5, 0, 2)
    assert (train.tolist() + test.tolist(), val.dtype) == (expected[0] + sorted(expected[1] + expected[2]), torch.int64)


def test_each_class_is_split_in_the_order_of_the_permutation() -> None:
    """The ratios give 3, 2.4 and 0.6 of 6 rows: one row of each class goes to test, and none is left."""
    labels, permuted = torch.arange(18) % 3, order(18, 5)
    of_class = [[row for row in permuted if row % 3 == label] for label in range(3)]
    expected = [
        sorted(row for rows in of_class for row in rows[first:last]) for first, last in ((0, 3), (3, 5), (5, 6))
    ]
    assert lists(split_rows(torch.arange(18), (0.5, 0.4, 0.1), 5, labels)) == expected


def test_rows_that_are_left_go_to_the_largest_deficit_over_all_classes() -> None:
    """The ratios give 2.5, 1.5 and 1 of 5 rows. The row that is left goes to train, then to val."""
    labels = torch.tensor([0] * 5 + [1] * 5)
    split = split_rows(torch.arange(10), (0.5, 0.3, 0.2), 0, labels)
    assert [labels[rows].bincount().tolist() for rows in split] == [[3, 2], [1, 2], [1, 1]]


def test_a_small_class_has_a_row_in_each_split() -> None:
    labels = torch.tensor([0] * 4 + [1] * 3)
    split = split_rows(torch.arange(7), (0.9, 0.05, 0.05), 0, labels)
    assert [labels[rows].bincount().tolist() for rows in split] == [[2, 1], [1, 1], [1, 1]]
    with pytest.raises(DataError, match="class b has 2 rows, and a stratified split needs 3 of each class"):
        split_rows(torch.arange(5, 12), (0.9, 0.05, 0.05), 0, torch.tensor([0] * 5 + [1] * 2), ("a", "b"))
    with pytest.raises(DataError, match="class 1 has 1 row, and a stratified split needs 2 of each class"):
        split_rows(torch.arange(5, 11), (0.5, 0, 0.5), 0, torch.tensor([0] * 5 + [1]))


def test_a_split_without_a_row_is_refused_only_where_it_has_a_fraction() -> None:
    with pytest.raises(DataError, match=r"0.1 of 4 rows leave the val part empty"):
        split_rows(torch.arange(4), (0.5, 0.1, 0.4), 0)
    assert lists(split_rows(torch.arange(2), (0.5, 0.0, 0.5), 0))[1] == []


def test_rows_that_are_left_go_to_the_splits_with_the_largest_deficit() -> None:
    """The ratios give 4.5, 2.7 and 1.8 of 9 rows: the two rows that are left go to val and test."""
    assert [len(part) for part in split_rows(torch.arange(9), (0.5, 0.3, 0.2), 0)] == [4, 3, 2]


# Units


@pytest.mark.parametrize("seed", range(3))
def test_units_are_assigned_to_the_largest_deficit(seed: int) -> None:
    """Of 60 rows: 32 to train (30 missing), 16 to val (18 missing), then 8 and 4 to test (12 missing)."""
    unit = units(4, 32, 8, 16)
    split = lists(deal_units(unit)(torch.arange(60), (0.5, 0.3, 0.2), seed))
    assert split == [list(range(4, 36)), list(range(44, 60)), [*range(4), *range(36, 44)]]


@pytest.mark.parametrize("seed", range(3))
def test_the_last_units_are_for_splits_without_one(seed: int) -> None:
    """Of 50 rows train gets 40 and needs 45, but the two other units are the last."""
    split = deal_units(units(8, 40, 2))(torch.arange(50), (0.9, 0.05, 0.05), seed)
    assert sorted(map(len, split)) == [2, 8, 40]
    assert len(split[0]) == 40


def test_units_of_about_equal_size_are_in_random_order() -> None:
    rows = torch.arange(30)
    splits = {str(lists(deal_units(rows // 3 * 3)(rows, (0.4, 0.3, 0.3), seed))) for seed in range(20)}
    assert len(splits) > 15
    # Units of 4 and 7 rows are within a factor of 2 if 2 ** k <= 4 / N and 7 / N < 2 ** (k + 1).
    first = {len(deal_units(units(4, 7, 5))(torch.arange(16), (0.5, 0.25, 0.25), seed)[0]) for seed in range(40)}
    assert first == {4, 5, 7}


@pytest.mark.parametrize("seed", range(4))
def test_a_unit_with_most_of_a_class_comes_first(seed: int) -> None:
    """The smallest unit has both rows of class 1: it goes to train, before the larger units of class 0."""
    labels = torch.tensor([0] * 21 + [1] * 2)
    split = lists(deal_units(units(10, 10, 3), labels)(torch.arange(23), (0.5, 0.3, 0.2), seed))
    assert split[0] == [20, 21, 22]


@pytest.mark.parametrize("seed", range(4))
def test_a_class_counts_by_its_rows_in_a_unit(seed: int) -> None:
    """The second unit has 9 of 20 rows of class 0 and 1 of 4 rows of class 1, of which the first has the others.

    Train has 0.45 of class 0 to get and 0.3 too much of class 1: 9 - 0.3 * 1 = 8.7 rows, where val has 6.3 rows.
    """
    labels = torch.tensor([1] * 3 + [0] * 9 + [1] + [0] * 11)
    split = lists(deal_units(units(3, 10, 4, 4, 3), labels)(torch.arange(24), (0.45, 0.3, 0.25), seed))
    assert split[0] == list(range(13))


def test_units_among_other_rows_keep_their_row_ids() -> None:
    unit = torch.tensor([0, 1, 0, 3, 3, 1, 6, 6])
    split = deal_units(unit)(torch.tensor([1, 3, 4, 5, 6, 7]), (0.34, 0.33, 0.33), 0)
    assert sorted(lists(split)) == [[1, 5], [3, 4], [6, 7]]
    train, val, test = deal_units(unit)(torch.tensor([1, 3, 4, 5]), (0.5, 0, 0.5), 0)
    assert (sorted([train.tolist(), test.tolist()]), val.tolist()) == ([[1, 5], [3, 4]], [])
    with pytest.raises(DataError, match="2 groups cannot be dealt to 3 parts"):
        deal_units(unit)(torch.tensor([1, 3, 4, 5]), (0.34, 0.33, 0.33), 0)


def test_copies_follow_the_first_row() -> None:
    """Without row 4 there are 5 different rows, of which the ratios give 3, 1 and 1."""
    unit = torch.tensor([0, 1, 2, 3, 0, 5, 1])
    permuted = [[0, 1, 2, 3, 5][index] for index in order(5, 9)]
    expected = [sorted(permuted[:3]), permuted[3:4], permuted[4:]]
    expected = [[row for row in (0, 1, 2, 3, 4, 5, 6) if unit[row] in some] for some in expected]
    assert lists(deal_rows(unit, None, ())(torch.arange(7), (0.6, 0.2, 0.2), 9)) == expected


# Folds, columns and time


def test_a_fold_is_the_test_split_and_the_rest_is_split_again() -> None:
    """Of 9 rows the first fold has 3. The rest is split 2 to 1."""
    deal, permuted = deal_rows(torch.arange(9), None, ()), order(9, 3)
    for fold, tested in enumerate((permuted[:3], permuted[3:5], permuted[5:7], permuted[7:])):
        train, val, test = split_fold(torch.arange(9), (0.5, 0.25, 0.25), 3, deal, 4, fold)
        assert test.tolist() == sorted(tested)
        rest = torch.tensor([row for row in range(9) if row not in tested])
        assert [train.tolist(), val.tolist()] == lists(deal(rest, [2 / 3, 1 / 3], 3))
        train, val, _ = split_fold(torch.arange(9), (0.5, 0.0, 0.5), 3, deal, 4, fold)
        assert (train.tolist(), val.tolist()) == (rest.tolist(), [])


def test_names_give_the_split() -> None:
    deal = deal_rows(torch.arange(6), None, ())
    names = ["test", "train", "val", "train", "train", None]
    split = split_given(torch.arange(5), names, (0.5, 0.25, 0.25), 3, deal)
    assert lists([*split]) == [[1, 3, 4], [2], [0]]
    train, val, test = split_given(torch.tensor([0, 1, 3, 4]), names, (0.5, 0.25, 0.25), 3, deal)
    assert [train.tolist(), val.tolist()] == lists(deal(torch.tensor([1, 3, 4]), [2 / 3, 1 / 3], 3))
    assert test.tolist() == [0]
    with pytest.raises(DataError, match="that of row 5 is None"):
        split_given(torch.tensor([1, 5]), names, (0.5, 0.25, 0.25), 3, deal)
    with pytest.raises(DataError, match="give 2 rows to train and 0 to test"):
        split_given(torch.tensor([1, 2, 3]), names, (0.5, 0.25, 0.25), 3, deal)
    with pytest.raises(DataError, match="give 0 rows to train and 1 to test"):
        split_given(torch.tensor([0, 2]), names, (0.5, 0.25, 0.25), 3, deal)


def test_moments_give_the_split() -> None:
    time = torch.tensor([5.0, 1.0, 1.0, 9.0, 7.0, 9.0])
    rows = torch.arange(6)
    # Train ends after 2 or 3 of 6 rows, and val after 3 or 4: the nearest to 2 and 3.
    assert lists([*split_by_time(rows, time, (1 / 3, 1 / 6, 0.5))]) == [[1, 2], [0], [3, 4, 5]]
    assert lists([*split_by_time(rows, time, (0.5, 1 / 6, 1 / 3))]) == [[0, 1, 2], [4], [3, 5]]
    assert lists([*split_by_time(rows, time, (0.5, 0.0, 0.5))]) == [[0, 1, 2], [], [3, 4, 5]]
    assert lists([*split_by_time(rows[1:5], time, (0.5, 0.25, 0.25))]) == [[1, 2], [4], [3]]
    # Train never ends with the last moments, which are for val and test.
    busy = torch.tensor([1.0, 2.0] + [3.0] * 8)
    assert lists([*split_by_time(torch.arange(10), busy, (0.8, 0.1, 0.1))]) == [[0], [1], list(range(2, 10))]
    assert [len(part) for part in split_by_time(torch.arange(10), torch.arange(10.0), (0.4, 0.4, 0.2))] == [4, 4, 2]
    with pytest.raises(DataError, match="a split by time needs 3 different times, and there are 2"):
        split_by_time(rows[:3], time, (0.5, 0.25, 0.25))
    assert lists([*split_by_time(rows[:3], time, (0.5, 0.0, 0.5))]) == [[1, 2], [], [0]]
