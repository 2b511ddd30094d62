"""Options of the split exclude each other, and notes count copies and rows against the ratios by hand-made examples."""

from dataclasses import FrozenInstanceError
from itertools import combinations
from typing import Any

import polars
import pytest
import torch

from datamodules import DataError
from datamodules.splitting.split_options import OPTIONS, Labels, SplitSettings, Splittable, split_data
from datamodules.splitting.splits import Split

VALUES = {"group": "g", "time": "t", "split_column": "s", "folds": 2}


def settings(**kwargs: Any) -> SplitSettings:
    defaults = {"ratios": (0.7, 0.15, 0.15), "seed": 0, "group": None, "split_column": None, "folds": None, "fold": 0}
    return SplitSettings(**defaults | kwargs)


def split_of(rows: Splittable, **kwargs: Any) -> tuple[Split, list[str]]:
    return split_data(rows, settings(**kwargs))


def column(name: str, counts: list[int]) -> Splittable:
    """Returns different rows with a column in which each index is repeated by its count."""
    values = [index for index, count in enumerate(counts) for _ in range(count)]
    return Splittable(torch.arange(len(values)), about=polars.DataFrame({name: values}))


# Options


@pytest.mark.parametrize("pair", [pair for pair in combinations(OPTIONS, 2) if pair != ("group", "folds")])
def test_two_options_that_decide_the_split_are_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(DataError, match=f"--data.{pair[0]} and --data.{pair[1]} both decide the split"):
        settings(**{name: VALUES[name] for name in pair})


def test_folds_of_groups_and_each_option_alone_are_accepted() -> None:
    assert settings(group="g", folds=2).option == "group"
    assert [settings(**{name: VALUES[name]}).option for name in OPTIONS] == list(OPTIONS)
    assert settings().option is None


@pytest.mark.parametrize(("folds", "fold"), [(1, 0), (0, 0), (2, 2), (2, -1), (3, 3)])
def test_a_fold_that_does_not_exist_is_refused(folds: int, fold: int) -> None:
    with pytest.raises(DataError, match=f"they are {folds} and {fold}"):
        settings(folds=folds, fold=fold)


def test_each_of_two_folds_exists_and_none_without_folds() -> None:
    assert [settings(folds=2, fold=fold).fold for fold in (0, 1)] == [0, 1]
    with pytest.raises(DataError, match=r"--data.fold is one of --data.folds, which is missing"):
        settings(fold=1)


@pytest.mark.parametrize("val_fold", [(0, 1), (2, 2), (-1, 2), (0, 0)])
def test_a_validation_fold_that_does_not_exist_is_refused(val_fold: tuple[int, int]) -> None:
    with pytest.raises(DataError, match=r"--data.val_fold \[0,5\] is fold 0 of 5"):
        settings(val_fold=val_fold)


@pytest.mark.parametrize("option", ["time", "split_column"])
def test_a_validation_fold_goes_with_no_option_that_chooses_validation_rows(option: str) -> None:
    with pytest.raises(DataError, match=f"--data.{option} decides which rows validate"):
        settings(val_fold=(0, 2), **{option: VALUES[option]})
    given = Splittable(torch.arange(9), val=torch.arange(3), test=torch.arange(3, 6))
    with pytest.raises(DataError, match="these data come with validation rows"):
        split_of(given, val_fold=(0, 2))


@pytest.mark.parametrize("options", [{}, {"folds": 3, "fold": 1}, {"group": "g"}, {"ratios": (0.8, 0.0, 0.2)}])
def test_validation_folds_divide_the_other_rows_and_leave_the_test_rows(options: dict[str, Any]) -> None:
    rows = column("g", [3] * 30)
    first = torch.arange(90)
    first[40] = 7  # a copy, which stays with its row
    rows = rows._replace(first=first, labels=Labels(torch.arange(90) // 3 % 2, ("a", "b")))
    plain, found = split_of(rows, **options)[0], [split_of(rows, val_fold=(k, 4), **options)[0] for k in range(4)]
    others = {*plain.train.tolist(), *plain.val.tolist()}
    assert sorted(row for each in found for row in each.val.tolist()) == sorted(others)
    for each in found:
        assert each.test.tolist() == plain.test.tolist()
        assert {*each.train.tolist()} == others - {*each.val.tolist()}
        assert abs(len(each.val) - len(others) / 4) <= 6
        positive = (each.val // 3 % 2 == 1).sum()
        assert abs(int(positive) - len(each.val) / 2) <= 3
        assert len({7, 40} & {*each.val.tolist()}) != 1
        if "group" in options:
            assert not {row // 3 for row in each.val.tolist()} & {row // 3 for row in each.train.tolist()}


def test_options_that_were_checked_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        settings(folds=2).fold = 2


def test_columns_that_decide_the_split_are_no_inputs() -> None:
    assert settings().columns == []
    assert settings(group="g", folds=2).columns == ["g"]
    assert settings(time="t").columns == ["t"]
    assert settings(split_column="s").columns == ["s"]


# Splits that come with the data


def test_a_given_validation_and_test_split_are_kept() -> None:
    rows = Splittable(torch.arange(6), val=torch.tensor([4, 0]), test=torch.tensor([3]))
    split, notes = split_of(rows)
    assert [part.tolist() for part in split] == [[1, 2, 5], [0, 4], [3]]
    assert notes == []


@pytest.mark.parametrize("option", OPTIONS)
def test_no_option_decides_a_split_that_comes_with_the_data(option: str) -> None:
    with pytest.raises(DataError, match="these data come with a test part"):
        split_of(Splittable(torch.arange(6), test=torch.tensor([3])), **{option: VALUES[option]})


def test_a_column_without_a_value_in_some_rows_is_refused_with_the_first_of_them() -> None:
    rows = Splittable(torch.arange(5), about=polars.DataFrame({"g": ["a", "b", None, "a", None]}))
    with pytest.raises(DataError, match="is missing in 2 of 5 rows, the first of them row 2"):
        split_of(rows, group="g")
    for about in (rows.about, None):
        with pytest.raises(DataError, match=r"--data.group h: there is no such column"):
            split_of(Splittable(rows.first, about=about), group="h")


# Copies


def test_an_error_names_the_copies_that_are_no_rows_of_their_own() -> None:
    copies = Splittable(torch.zeros(4, dtype=torch.int64))
    for duplicates in ("keep-together", "drop"):
        with pytest.raises(DataError, match=r"\(without 3 copies of rows, see --data.duplicates\)$"):
            split_of(copies, duplicates=duplicates)
    for rows, duplicates in (
        (Splittable(torch.zeros(2, dtype=torch.int64)), "ignore"),
        (Splittable(torch.arange(2)), "drop"),
    ):
        with pytest.raises(DataError, match=r"change ratios or add rows$"):
            split_of(rows, duplicates=duplicates)


@pytest.mark.parametrize(
    ("duplicates", "done"),
    [("keep-together", "kept in one part"), ("drop", "left out"), ("ignore", "split like any other row")],
)
def test_a_note_counts_the_copies(duplicates: str, done: str) -> None:
    first = torch.arange(40)
    first[30:] = torch.arange(10)
    split, notes = split_of(Splittable(first), duplicates=duplicates)
    assert notes == [f"exact copies of an earlier row: 10 of 40 rows, {done}"]
    assert sum(map(len, split)) == (30 if duplicates == "drop" else 40)
    of_row = {row: index for index, rows in enumerate(split) for row in rows.tolist()}
    apart = sum(of_row.get(row + 30, of_row[row]) != of_row[row] for row in range(10))
    assert (apart > 0) == (duplicates == "ignore")


@pytest.mark.parametrize(("given", "apart"), [([0, 1], 2), ([6], 1), ([5], 0)])
def test_a_note_counts_the_copies_that_a_given_split_separates(given: list[int], apart: int) -> None:
    rows = Splittable(torch.tensor([0, 1, 2, 3, 4, 5, 0, 1]), test=torch.tensor(given))
    _, notes = split_of(Splittable(rows.first, val=torch.tensor([4]), test=rows.test))
    separated = f" but for {apart}, whose part is given" if apart else ""
    assert notes == [f"exact copies of an earlier row: 2 of 8 rows, kept in one part{separated}"]
    _, notes = split_of(Splittable(rows.first, val=torch.tensor([4]), test=rows.test), duplicates="ignore")
    assert notes == ["exact copies of an earlier row: 2 of 8 rows, split like any other row"]


# Ratios that groups and moments do not meet


@pytest.mark.parametrize(
    ("counts", "ratios", "wanted"),
    [
        ([75, 10, 15], (0.7, 0.15, 0.15), None),  # off by 5 of 100 rows: 5 %
        ([76, 9, 15], (0.7, 0.15, 0.15), "70, 15, 15"),
        ([64, 21, 15], (0.7, 0.15, 0.15), "70, 15, 15"),
        ([12, 4, 4], (0.5, 0.25, 0.25), None),  # off by 2 rows, more than 5 % of 20
        ([13, 3, 4], (0.5, 0.25, 0.25), "10, 5, 5"),
    ],
)
def test_a_note_says_by_how_much_moments_miss_the_ratios(
    counts: list[int], ratios: tuple[float, float, float], wanted: str | None
) -> None:
    split, notes = split_of(column("day", counts), time="day", ratios=ratios)
    assert [len(part) for part in split] == counts
    train, val, test = counts
    note = f"parts far from their ratios: {train} train, {val} val, {test} test rows instead of {wanted}"
    assert notes == ([f"{note}, as moments of day are not divided"] if wanted else [])


def test_a_note_says_by_how_much_folds_of_groups_miss_the_ratios() -> None:
    """The first group is a fold. Of 100 rows 75 are for the other folds: 70 / 85 of them to train, 15 / 85 to val."""
    split, notes = split_of(column("person", [70] + [1] * 30), group="person", folds=4)
    assert [len(part) for part in split] == [25, 5, 70]
    note = "parts far from their ratios: 25 train, 5 val, 70 test rows instead of 62, 13, 25"
    assert notes == [f"{note}, as groups of person are not divided"]
    split, notes = split_of(column("person", [1] * 100), group="person", folds=4)
    assert [len(part) for part in split] == [62, 13, 25]
    assert notes == []


def test_a_note_says_by_how_much_validation_folds_of_groups_miss_the_ratios() -> None:
    """Of 100 rows 20 are for the test; a fifth of the other 80 is the fold, in which the group of 50 is."""
    rows, options = column("person", [50] + [1] * 50), {"group": "person", "ratios": (0.6, 0.2, 0.2)}
    found = [split_of(rows, val_fold=(fold, 5), **options) for fold in range(5)]
    sizes = [[len(part) for part in split] for split, _ in found]
    for (train, val, test), (_, notes) in zip(sizes, found, strict=True):
        note = f"parts far from their ratios: {train} train, {val} val, {test} test rows instead of 64, 16, 20"
        far = max(abs(train - 64), abs(val - 16), abs(test - 20)) > 5
        assert notes == [f"{note}, as groups of person are not divided"] * far
    assert [val >= 50 for _, val, _ in sizes].count(True) == 1
    _, notes = split_of(column("person", [1] * 100), val_fold=(0, 5), **options)
    assert notes == []


def test_a_split_that_no_option_decides_has_no_note_on_its_ratios() -> None:
    rows = Splittable(torch.arange(20), test=torch.tensor([3]))
    assert split_of(rows)[1] == []
    labels = Labels(torch.arange(12) % 4, ("a", "b", "c", "d"))
    split, notes = split_of(Splittable(torch.arange(12), labels))  # three rows of each class, one for each split
    assert [len(part) for part in split] == [4, 4, 4]
    assert notes == []
