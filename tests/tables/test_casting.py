"""Casts of cells to numbers, days and codes: the first cell that has none is named, and numbers beyond float32."""

import datetime
import math
from typing import Any

import polars
import pytest

from datamodules import DataError
from datamodules.tables.casting import (
    as_days,
    beyond,
    check_cells,
    check_complete,
    encode,
    normalize_cells,
    to_days,
    to_numbers,
)

LARGEST = 3.4028234663852886e38  # of float32, (2 - 2**-23) * 2**127


def test_texts_are_codes_of_sorted_texts() -> None:
    codes, texts = encode(polars.Series(["b", None, "a", "b"]))
    assert (codes.tolist(), texts) == ([1, -1, 0, 1], ["a", "b"])
    codes, texts = encode(polars.Series([None, None], dtype=polars.String))
    assert (codes.tolist(), texts) == ([-1, -1], [])
    assert encode(polars.Series([True, False]))[1] == ["false", "true"]


def test_the_largest_number_is_that_of_float32() -> None:
    above = math.nextafter(LARGEST, math.inf)
    values = polars.Series([LARGEST, above, -LARGEST, -above, math.inf, math.nan, None, 0.0])
    assert beyond(values).to_list() == [False, True, False, True, True, False, False, False]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, math.inf, 1.0, math.inf], "column x has 2 infinite values, the first in row 1"),
        ([1.0, 1.0, -1e39, math.inf], "column x has 2 values beyond float32, such as -1e[+]39, the first in row 2"),
        (["1", None, "two", "three"], "column x is to be numeric, and row 2 has 'two'"),
    ],
)
def test_the_first_cell_that_is_no_number_is_named(values: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        to_numbers(polars.Series("x", values))


def test_numbers_and_missing_ones() -> None:
    assert to_numbers(polars.Series(["1.5", None])).nan_to_num(7).tolist() == [1.5, 7.0]


@pytest.mark.parametrize(
    ("value", "days"),
    [
        (datetime.date(1970, 1, 2), 1.0),
        (datetime.datetime(1969, 12, 31, 6), -0.75),
        (datetime.time(18), 0.75),
        ("1970-01-03", 2.0),
        ("1970-01-03T12:00:00", 2.5),
    ],
)
def test_dates_are_days_since_1970(value: Any, days: float) -> None:
    assert to_days(polars.Series([value, None])).nan_to_num(7).tolist() == [days, 7.0]


def test_cells_that_are_no_dates_are_refused() -> None:
    with pytest.raises(DataError, match="column x is to be a date, and holds Int64"):
        as_days(polars.Series("x", [1, 2]))
    with pytest.raises(DataError, match="column x is to be a date, and row 1 has 'soon'"):
        to_days(polars.Series("x", ["1970-01-03", "soon"]))
    with pytest.raises(DataError, match="column x is to be a date, and row 0 has 'soon'"):
        to_days(polars.Series("x", ["soon", "late"]))


@pytest.mark.parametrize("values", [[[1], [2]], [b"1", b"2"], [{"a": 1}]])
def test_nested_values_and_bytes_are_no_cells(values: list[Any]) -> None:
    with pytest.raises(DataError, match=r"column x holds .*, which is no cell of a table"):
        check_cells(polars.Series("x", values))
    for cast in (encode, to_numbers):
        with pytest.raises(DataError, match="which is no cell of a table"):
            cast(polars.Series("x", values))


def test_numbers_texts_and_times_are_cells() -> None:
    for value in (1, 1.5, "a", True, datetime.date(2024, 1, 1), datetime.timedelta(1)):
        check_cells(polars.Series("x", [value]))


def test_a_column_without_a_value_in_some_rows_is_refused() -> None:
    check_complete(polars.Series("x", [1, 2]), "target")
    with pytest.raises(DataError, match="target x is missing in 2 of 4 rows, the first of them row 1"):
        check_complete(polars.Series("x", [1, None, 2, None]), "target")


def test_cells_are_normalized() -> None:
    frame = polars.DataFrame(
        {"text": [" a ", "NA", " NA"], "number": [1.0, math.nan, None], "span": [datetime.timedelta(hours=36)] * 3}
    )
    found = normalize_cells(frame, ["NA"])
    assert found.to_dict(as_series=False) == {"text": ["a", None, None], "number": [1.0, None, None], "span": [1.5] * 3}
