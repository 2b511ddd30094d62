"""Splits that something in the data decides: disjoint, whole, repeatable, and true to what they are named after."""

from pathlib import Path

import numpy
import polars
import pytest
import torch
from conftest import Fit
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from datamodules import DataError, TableData
from datamodules.splitting.grouping import deal_units, split_by_time, split_fold, together
from datamodules.splitting.splits import Split

RATIOS = (0.7, 0.15, 0.15)
SEEDS = st.integers(0, 2**40)


def frame(rows: int = 100) -> polars.DataFrame:
    """Five rows a person, twenty rows a day, three classes, a part, and x of which no two rows have the same."""
    return polars.DataFrame(
        {
            "x": [float(row * 37 % 101) for row in range(rows)],
            "person": [f"p{row // 5}" for row in range(rows)],
            "day": [f"2024-01-{1 + row * 7 % rows // 20:02}" for row in range(rows)],
            "part": [("train", "test", "val", "train", "train")[row % 5] for row in range(rows)],
            "y": [("a", "b", "c")[row % 3] for row in range(rows)],
        }
    )


def split_of(tmp_path: Path, table: polars.DataFrame, **kwargs) -> Split:
    table.write_parquet(tmp_path / "t.parquet")
    steering = [kwargs.get(name) for name in ("group", "time", "split_column")]
    drop = [name for name in ("person", "day", "part") if name in table.columns and name not in steering]
    split = TableData(str(tmp_path / "t.parquet"), "y", drop=drop, **kwargs).split
    assert split is not None
    return split


def sets(split: Split) -> list[set[int]]:
    return [set(part.tolist()) for part in split]


def check_whole(split: Split, rows: int) -> None:
    """Disjoint, sorted, nothing lost."""
    assert sorted(torch.cat(list(split)).tolist()) == list(range(rows))
    assert all(torch.equal(part, part.sort().values) for part in split)
    assert all(len(part) for part in split)


# By group


def test_no_group_is_in_two_parts(tmp_path: Path) -> None:
    split = split_of(tmp_path, frame(), group="person")
    check_whole(split, 100)
    people = [{row // 5 for row in part} for part in sets(split)]
    assert sum(map(len, people)) == 20
    assert [len(part) for part in split] == [70, 15, 15]
    assert sets(split) != sets(split_of(tmp_path, frame(), group="person", split_seed=1))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=3, max_size=80), SEEDS)
def test_groups_of_any_size_are_dealt_whole(keys: list[int], seed: int) -> None:
    assume(len(set(keys)) >= 3)
    unit, rows = together(torch.tensor(keys)), torch.arange(len(keys))
    split = Split(*deal_units(unit)(rows, RATIOS, seed))
    check_whole(split, len(keys))
    assert sum(len(set(unit[part].tolist())) for part in split) == len(set(keys))
    largest = max(map(keys.count, keys))
    if len(set(keys)) > 20:
        assert all(abs(len(part) - share * len(keys)) <= largest for part, share in zip(split, RATIOS, strict=True))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("stratify", [None, False])
def test_a_giant_group_is_dealt_first_and_a_note_names_the_parts(
    tmp_path: Path, seed: int, stratify: bool | None
) -> None:
    table = frame(200).with_columns(person=polars.Series(["giant"] * 170 + [f"p{row // 3}" for row in range(30)]))
    table.write_parquet(tmp_path / "t.parquet")
    options = {"drop": ["day", "part"], "group": "person", "split_seed": seed, "stratify": stratify}
    data = TableData(str(tmp_path / "t.parquet"), "y", **options)
    assert data.split is not None
    assert [len(part) for part in data.split] == [170, 15, 15]
    assert any("170 train, 15 val, 15 test rows instead of 140, 30, 30" in note for note in data.notes)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=12, max_size=60), SEEDS)
def test_no_part_is_farther_from_its_ratio_than_the_groups_that_come_last(sizes: list[int], seed: int) -> None:
    unit = together(torch.tensor([index for index, size in enumerate(sizes) for _ in range(size)]))
    total, ratios = sum(sizes), (0.4, 0.3, 0.3)
    assume(max(sizes) < 0.15 * total)
    split = deal_units(unit)(torch.arange(total), ratios, seed)
    # A part exceeds its ratio by less than the group that it got last.
    assert all(len(part) - share * total < max(sizes) for part, share in zip(split, ratios, strict=True))


@pytest.mark.parametrize("seed", range(4))
def test_groups_are_dealt_by_class(seed: int) -> None:
    rows = torch.arange(400)
    unit, labels = together(rows // 4), (rows // 4 % 20 == 0).long()  # 5 of 100 groups have the rare class
    split = Split(*deal_units(unit, labels)(rows, (0.6, 0.2, 0.2), seed))
    assert [int(labels[part].sum()) for part in split] == [12, 4, 4]
    assert [len(part) for part in split] == [240, 80, 80]


def test_a_note_names_moments_of_many_rows(tmp_path: Path) -> None:
    table = frame().with_columns(day=polars.Series([1] * 10 + [2] * 80 + [3] * 5 + [4] * 5))
    for name, days in (("ties", table), ("none", table.with_columns(day=polars.int_range(100)))):
        days.write_parquet(tmp_path / f"{name}.parquet")
        notes = TableData(str(tmp_path / f"{name}.parquet"), "y", drop=["person", "part"], time="day").notes
        far = [note for note in notes if "far from their ratios" in note and "moments of day" in note]
        assert len(far) == (name == "ties")


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=40))
def test_units_are_the_connected_rows(keys: list[tuple[int, int]]) -> None:
    units = together(*(torch.tensor(key) for key in zip(*keys, strict=True))).tolist()
    reached = [{row} for row in range(len(keys))]
    for _ in keys:  # the same by brute force
        for one in range(len(keys)):
            for other in range(len(keys)):
                if any(a == b for a, b in zip(keys[one], keys[other], strict=True)):
                    reached[one] |= reached[other]
    assert units == [min(rows) for rows in reached]


# By time


def test_train_is_before_val_is_before_test(tmp_path: Path) -> None:
    table = frame()
    split = split_of(tmp_path, table, time="day")
    check_whole(split, 100)
    days = [{table["day"][row] for row in part} for part in sets(split)]
    assert max(days[0]) < min(days[1])
    assert max(days[1]) < min(days[2])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(-5, 20), min_size=3, max_size=80), SEEDS)
def test_moments_are_never_torn_apart(times: list[int], seed: int) -> None:
    assume(len(set(times)) >= 3)
    time = torch.tensor(times).double()
    split = split_by_time(torch.arange(len(times)), time, RATIOS)
    check_whole(split, len(times))
    assert time[split.train].max() < time[split.val].min()
    assert time[split.val].max() < time[split.test].min()


def test_different_times_meet_the_ratios() -> None:
    split = split_by_time(torch.arange(100), torch.arange(100).flip(0), RATIOS)
    assert [len(part) for part in split] == [70, 15, 15]
    assert split.test.tolist() == list(range(15))


# Predefined


def test_a_column_names_the_parts(tmp_path: Path) -> None:
    split = split_of(tmp_path, frame(), split_column="part")
    assert sets(split) == [{r for r in range(100) if r % 5 in which} for which in ((0, 3, 4), (2,), (1,))]


def test_val_is_dealt_from_train_where_none_is_named(tmp_path: Path) -> None:
    table = frame().with_columns(part=polars.col("part").replace("val", "train"))
    split = split_of(tmp_path, table, split_column="part")
    check_whole(split, 100)
    assert sets(split)[2] == set(range(1, 100, 5))
    assert len(split.val) == round(80 * 0.15 / 0.85)


@pytest.mark.parametrize(
    ("column", "words", "message"),
    [
        ("part", {"split_column": "part"}, "row 7"),
        ("person", {"group": "person"}, "missing in 1 of 100 rows"),
        ("day", {"time": "day"}, "row 7"),
    ],
)
def test_a_hole_in_what_decides_is_refused(tmp_path: Path, column: str, words: dict, message: str) -> None:
    index = polars.int_range(polars.len())
    table = frame().with_columns(polars.when(index == 7).then(None).otherwise(column).alias(column))
    with pytest.raises(DataError, match=message):
        split_of(tmp_path, table, **words)


# Folds


@pytest.mark.parametrize("group", [None, "person"])
def test_folds_test_every_row_once(tmp_path: Path, group: str | None) -> None:
    splits = [split_of(tmp_path, frame(), folds=4, fold=fold, group=group) for fold in range(4)]
    for split in splits:
        check_whole(split, 100)
        assert len(split.test) == 25
        if group:
            assert sum(len({row // 5 for row in part}) for part in sets(split)) == 20
        else:
            classes = [[row % 3 for row in part].count(0) / len(part) for part in sets(split)]
            assert all(share == pytest.approx(1 / 3, abs=0.08) for share in classes)
    assert sorted(torch.cat([split.test for split in splits]).tolist()) == list(range(100))


def test_folds_need_enough_groups() -> None:
    with pytest.raises(DataError, match="3 groups cannot be dealt to 5 parts"):
        split_fold(torch.arange(9), RATIOS, 0, deal_units(together(torch.arange(9) // 3)), 5, 0)


# Copies


def copied() -> polars.DataFrame:
    """A hundred rows, and the first thirty of them again."""
    return polars.concat([frame(), frame()[:30]])


def test_copies_stay_in_one_part_and_are_counted(tmp_path: Path) -> None:
    split = split_of(tmp_path, copied())
    check_whole(split, 130)
    for part in sets(split):
        assert all((row + 100 in part) == (row in part) for row in range(30))
    data = TableData(str(tmp_path / "t.parquet"), "y", drop=["person", "day", "part"])
    assert data.notes == ("exact copies of an earlier row: 30 of 130 rows, kept in one part",)


def test_copies_stay_in_one_part_also_across_groups_and_folds(tmp_path: Path) -> None:
    table = copied().with_columns(person=polars.Series([f"p{row // 2}" for row in range(130)]))
    for words in ({"group": "person"}, {"group": "person", "folds": 3, "fold": 1}, {"folds": 3, "fold": 2}):
        split = split_of(tmp_path, table, **words)
        check_whole(split, 130)
        for part in sets(split):
            assert all((row + 100 in part) == (row in part) for row in range(30))
            assert "group" not in words or all((row ^ 1) in part for row in part)


def test_copies_can_be_dropped_or_ignored(tmp_path: Path) -> None:
    dropped = split_of(tmp_path, copied(), duplicates="drop")
    check_whole(dropped, 100)
    assert sets(dropped) == sets(split_of(tmp_path, frame(), duplicates="drop"))
    ignored = split_of(tmp_path, copied(), duplicates="ignore")
    check_whole(ignored, 130)
    assert any((row + 100 in part) != (row in part) for part in sets(ignored) for row in range(30))


def test_without_copies_the_split_is_the_plain_one(tmp_path: Path) -> None:
    assert sets(split_of(tmp_path, frame())) == sets(split_of(tmp_path, frame(), duplicates="ignore"))


def test_copies_that_a_given_split_tears_apart_are_told(tmp_path: Path) -> None:
    table = copied().with_columns(part=polars.Series(["train"] * 60 + ["val"] * 40 + ["test"] * 30))
    split_of(tmp_path, table, split_column="part")
    data = TableData(str(tmp_path / "t.parquet"), "y", drop=["person", "day"], split_column="part")
    assert "30 of 130 rows, kept in one part but for 30, whose part is given" in data.notes[0]


# Through the command line


def test_the_run_says_which_split_it_was(fit: Fit, tmp_path: Path) -> None:
    copied().write_csv(tmp_path / "t.csv")
    words = (
        f"--data TableData --data.path {tmp_path / 't.csv'} --data.target y --data.drop [day,part] --model LitLinear"
    )
    first = fit(*words.split(), "--data.group", "person", "--trainer.max_epochs", "1")
    second = fit(*words.split(), "--data.group", "person", "--trainer.max_epochs", "1", "--data.split_seed", "1")
    assert first["hyperparameters"]["data.group"] == "person"
    assert first["fingerprints"]["data"] == second["fingerprints"]["data"]
    assert first["fingerprints"]["split"] != second["fingerprints"]["split"]
    assert first["notes"] == ["exact copies of an earlier row: 30 of 130 rows, kept in one part"]


def test_files_are_the_parts_and_val_is_dealt_out_of_train_where_it_has_none(tmp_path: Path) -> None:
    generator = numpy.random.default_rng(0)
    sizes = {"train": 60, "val": 20, "test": 30}
    for part, size in sizes.items():
        table = polars.DataFrame({"x": generator.normal(size=size), "y": generator.integers(0, 2, size=size)})
        (table if part != "test" else table.select("y", "x")).write_csv(tmp_path / f"{part}.csv")
    paths = {name: str(tmp_path / f"{part}.csv") for name, part in (("path", "train"), ("test_path", "test"))}
    split = TableData(target="y", **paths).split
    assert torch.equal(split.test, torch.arange(60, 90))
    assert sorted([*split.train.tolist(), *split.val.tolist()]) == list(range(60))
    split = TableData(target="y", val_path=str(tmp_path / "val.csv"), **paths).split
    assert [len(part) for part in split] == [60, 20, 30]
    assert torch.equal(split.val, torch.arange(60, 80))


@pytest.mark.parametrize(
    ("columns", "words", "message"),
    [
        (["x", "y"], {"val_path": "other.csv"}, "alone is no split"),
        (["y", "z"], {"test_path": "other.csv"}, "lacks the column x"),
        (["x", "y", "z"], {"test_path": "other.csv", "group": "z"}, "come with a test part"),
    ],
)
def test_files_that_are_no_split_are_refused(
    tmp_path: Path, columns: list[str], words: dict[str, str], message: str
) -> None:
    columns_of_train = {"x": range(20), "y": [0, 1] * 10} | ({"z": range(20)} if "group" in words else {})
    polars.DataFrame(columns_of_train).write_csv(tmp_path / "train.csv")
    polars.DataFrame({name: [0, 1] * 5 for name in columns}).write_csv(tmp_path / "other.csv")
    settings = {name: str(tmp_path / value) if name.endswith("path") else value for name, value in words.items()}
    with pytest.raises(DataError, match=message):
        TableData(path=str(tmp_path / "train.csv"), target="y", **settings)
