"""Targets of every task, at the boundaries: how many classes, which numbers are whole, and what is noted."""

from typing import Any

import polars
import pytest
import torch

from datamodules import DataError
from datamodules.tables.targets import (
    Target,
    check_train_counts,
    check_train_targets,
    infer_task,
    is_one_hot,
    is_whole,
    read_target,
    task_note,
)


def frame(**columns: list[Any]) -> polars.DataFrame:
    return polars.DataFrame(columns)


def texts(count: int) -> list[str]:
    return [f"class {index:03}" for index in range(count)]


def ambiguous(different: int, rows: int) -> str:
    return task_note("regression", torch.arange(rows).double().unsqueeze(1) % different, ["y"])


# The task


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (texts(25), "multiclass"),
        (texts(1), "multiclass"),
        (texts(2), "binary"),
        ([0.5, 1.5], "binary"),
        ([0.5, 1.5, 2.5], "regression"),
        ([0.5], "regression"),
        ([4.0], "multiclass"),
        (list(range(20)), "multiclass"),
        (list(range(21)), "regression"),
        ([2.0**53 - 1, 1.0, 2.0], "multiclass"),
        ([2.0**53, 1.0, 2.0], "regression"),
        ([-(2.0**53), 1.0, 2.0], "regression"),
        ([True, False], "binary"),
    ],
)
def test_the_task_of_one_column(values: list[Any], task: str) -> None:
    assert infer_task(frame(y=values * 3)) == task


@pytest.mark.parametrize(
    ("columns", "task"),
    [
        ({"a": [1, 0, 0], "b": [0, 1, 1]}, "binary"),
        ({"a": [1, 0, 0], "b": [0, 1, 0], "c": [0, 0, 1]}, "multiclass"),
        ({"a": [True, False, False], "b": [False, True, True]}, "binary"),
        ({"a": [1, 0, 0], "b": [0, 1, 0]}, "multilabel"),  # a row without a 1
        ({"a": [1, 0, 1], "b": [0, 1, 1]}, "multilabel"),  # a row with two
        ({"a": [1, 1, 1], "b": [0, 0, 0]}, "multilabel"),  # a column without
        ({"a": [2, 0, 0], "b": [-1, 1, 1]}, "regression"),  # rows that sum to 1
        ({"a": [0, 1], "b": [0.5, 0.25]}, "regression"),
    ],
)
def test_the_task_of_several_columns(columns: dict[str, list[Any]], task: str) -> None:
    assert infer_task(frame(**columns)) == task
    assert is_one_hot(frame(**columns)) == (task in ("binary", "multiclass"))


def test_texts_among_several_columns_are_refused() -> None:
    assert not is_one_hot(frame(a=[1, 0], b=["0", "1"]))
    with pytest.raises(DataError, match="all labels of 0 and 1 or all numbers, and b is neither"):
        infer_task(frame(a=[1, 0], b=["0", "1"]))


def test_the_train_rows_suggest_the_task_and_all_rows_have_its_classes() -> None:
    target = read_target(frame(y=[0.0, 1.0, 2.5]), train=torch.tensor([0, 1]))
    assert (target.task, target.class_names) == ("multiclass", ("0.0", "1.0", "2.5"))
    labels = frame(a=[1, 0, 1], b=[0, 1, 1])
    assert read_target(labels, "multilabel", torch.tensor([0, 1])).task == "multilabel"
    with pytest.raises(DataError, match=r"binary has one target column, and --data.target names 2"):
        read_target(labels, train=torch.tensor([0, 1]))  # one-hot but for a later row
    assert read_target(labels, train=torch.tensor([1, 2])).task == "multilabel"


# Targets


def test_one_hot_columns_are_classes() -> None:
    target = read_target(frame(a=[0, 1], b=[1, 0]))
    assert target.y.tolist() == [1, 0]
    assert (target.task, target.num_outputs, target.class_names) == ("binary", 1, ("a", "b"))
    target = read_target(frame(a=[0, 1, 0], b=[1, 0, 0], c=[0, 0, 1]))
    assert target.y.tolist() == [1, 0, 2]
    assert (target.task, target.num_outputs, target.class_names) == ("multiclass", 3, ("a", "b", "c"))


def test_labels_and_numbers() -> None:
    target = read_target(frame(a=[0, 1], b=[1, 1]), "multilabel")
    assert (target.y.tolist(), target.num_outputs, target.class_names) == ([[0, 1], [1, 1]], 2, ("a", "b"))
    assert target.y.dtype == torch.int64
    target = read_target(frame(a=[0.5, 2.0], b=[1, 1]), "regression")
    assert (target.y.tolist(), target.num_outputs, target.class_names) == ([[0.5, 1.0], [2.0, 1.0]], 2, ())
    with pytest.raises(DataError, match="the labels of multilabel are 0 and 1, and a, b have other values"):
        read_target(frame(a=[0, 2], b=[1, 1]), "multilabel")


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("columns", [2, 3])
def test_several_columns_that_are_not_one_hot_are_no_classes(task: Any, columns: int) -> None:
    several = frame(**{f"y{index}": [0, 1, 1] for index in range(columns)})
    with pytest.raises(DataError, match=f"{task} has one target column, and --data.target names {columns}"):
        read_target(several, task)


def test_the_number_of_classes_fits_the_task() -> None:
    assert read_target(frame(y=[7, 9, 7]), "binary").num_outputs == 1
    assert read_target(frame(y=[7, 9, 7]), "multiclass").num_outputs == 2
    assert read_target(frame(y=texts(3)), "multiclass").num_outputs == 3
    for task, classes, wanted in (("binary", 1, "exactly"), ("binary", 3, "exactly"), ("multiclass", 1, "at least")):
        with pytest.raises(DataError, match=f"{task} needs {wanted} two classes, and target y has {classes};"):
            read_target(frame(y=texts(classes)), task)
    with pytest.raises(DataError, match="binary needs exactly two classes, and target y has 1;"):
        read_target(frame(y=[1, 1]), "binary")
    with pytest.raises(DataError, match="target y is missing in 1 of 2 rows"):
        read_target(frame(y=[1, None]), "binary")
    with pytest.raises(DataError, match="task 'ranking' is unknown"):
        read_target(frame(y=[1, 2]), "ranking")


def test_names_of_classes_are_whole_numbers_where_all_are() -> None:
    target = read_target(frame(y=[10.0, 9.0, 11.0]))
    assert (target.y.tolist(), target.class_names) == ([1, 0, 2], ("9", "10", "11"))
    assert read_target(frame(y=[10, 9, 11])).class_names == ("9", "10", "11")
    assert read_target(frame(y=[2**53 + 1, 5])).class_names == ("5", "9007199254740993")
    assert read_target(frame(y=[0.5, 9.0])).class_names == ("0.5", "9.0")
    assert read_target(frame(y=["10", "9", "11"])).class_names == ("10", "11", "9")


@pytest.mark.parametrize(
    ("values", "whole"),
    [([1.0, -3.0], True), ([1.0, 0.5], False), ([2.0**53 - 1], True), ([2.0**53], False), ([1, 2**60], True)],
)
def test_whole_numbers_are_exact_in_float64(values: list[Any], whole: bool) -> None:
    assert is_whole(polars.Series(values)) == whole
    assert not is_whole(polars.Series(["1"]))
    assert not is_whole(polars.Series([True]))


# Notes


@pytest.mark.parametrize(
    ("different", "rows", "noted"),
    [(21, 105, True), (21, 104, False), (20, 1000, False), (200, 1000, True), (200, 999, False), (201, 9000, False)],
)
def test_a_note_asks_where_whole_numbers_may_be_classes(different: int, rows: int, noted: bool) -> None:
    note = f"the target has {different} different whole numbers, read as values to predict; "
    assert ambiguous(different, rows) == (f"{note}--data.task multiclass makes them classes" if noted else "")


def test_no_note_asks_about_classes_fractions_or_several_targets() -> None:
    y = torch.arange(240) % 24
    assert task_note("regression", y.unsqueeze(1).double(), ["y"])
    assert task_note("multiclass", y, ["y"]) == ""  # of texts
    assert task_note("regression", y.unsqueeze(1) + 0.5, ["y"]) == ""
    assert task_note("regression", y.unsqueeze(1) + (y == 23).unsqueeze(1) * 0.5, ["y"]) == ""
    assert task_note("regression", torch.zeros(1, 1), ["y"]) == ""
    assert task_note("regression", torch.stack([y, y], dim=1).double(), ["y", "z"]) == ""
    assert task_note("multilabel", torch.stack([y, y], dim=1) % 2, ["y", "z"]) == ""


def test_a_note_names_the_first_columns_of_a_single_1() -> None:
    y = torch.tensor([0, 1])
    for names, named in ((["a", "b"], "a, b"), (["a", "b", "c"], "a, b, c"), (["a", "b", "c", "d"], "a, b, c ...")):
        note = f"each row has a single 1 in {named}: one class a row; --data.task multilabel makes them labels"
        assert task_note("multiclass", y, names) == note
    assert task_note("binary", y, ["a", "b"]).startswith("each row has a single 1 in a, b:")


# Train rows


def test_train_rows_have_every_class_and_both_values_of_every_label() -> None:
    check_train_targets(Target(torch.tensor([0, 1, 1]), "multiclass", 2, ("a", "b")), torch.tensor([0, 2]))
    check_train_targets(Target(torch.zeros(3, 1), "regression", 1, ()), torch.tensor([0, 2]))
    with pytest.raises(DataError, match="the train rows have no row of class c, so"):
        check_train_targets(Target(torch.tensor([0, 1, 2]), "multiclass", 3, ("a", "b", "c")), torch.tensor([0, 1]))
    labels = Target(torch.tensor([[1, 0], [0, 1], [1, 1], [0, 0]]), "multilabel", 2, ("a", "b"))
    check_train_targets(labels, torch.tensor([0, 1]))
    check_train_targets(labels, torch.tensor([0, 1, 3]))
    with pytest.raises(DataError, match="label b is the same in all 2 train rows"):
        check_train_targets(labels, torch.tensor([1, 2]))
    check_train_counts(("a",), torch.tensor([4]), 4, multilabel=False)
    with pytest.raises(DataError, match="label a is the same in all 4 train rows"):
        check_train_counts(("a", "b"), torch.tensor([0, 1]), 4, multilabel=True)
    with pytest.raises(DataError, match=r"no row of class b, c, d, e, f, so"):
        check_train_counts("abcdef", torch.tensor([4, 0, 0, 0, 0, 0]), 4, multilabel=False)
    with pytest.raises(DataError, match=r"no row of class b, c, d, e, f ..., so"):
        check_train_counts("abcdefg", torch.tensor([4, 0, 0, 0, 0, 0, 0]), 4, multilabel=False)
