"""``evenhand inspect`` names values that are probably not what they are read as; generated columns keep it silent."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
from conftest import Fit
from hypothesis import given
from hypothesis import strategies as st

from datamodules import SeriesData, TableData
from datamodules.inspection.inspection import inspect
from datamodules.inspection.odd_values import _as_missing

ROWS = 120
Looks = Callable[..., list[str]]


@pytest.fixture
def looks(tmp_path: Path) -> Looks:
    """Returns the suspicions on a table of one column beside a harmless one, and of a target."""

    def run(column: Any, y: Any = None, ending: str = "csv") -> list[str]:
        draw = numpy.random.default_rng(0)
        target = draw.permutation(["no", "yes"] * (len(column) // 2)) if y is None else y
        frame = polars.DataFrame({"x": draw.normal(size=len(column)), "odd": column, "y": target})
        path = tmp_path / f"rows.{ending}"
        frame.write_csv(path) if ending == "csv" else frame.write_parquet(path)
        return inspect(TableData(path=str(path), target="y")).suspicions

    return run


def with_some(value: object, others: Any, some: int = 9) -> list[object]:
    """Returns a column of ``others`` in which each ninth cell is another value."""
    return [value if index % some == 0 else other for index, other in enumerate(others)]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("value", [-999, -99.0, 9999, 99999.0, -9])
def test_numbers_for_missing_values(looks: Looks, value: float, ending: str) -> None:
    column = numpy.random.default_rng(1).normal(0, 1, ROWS).round(3)
    (sentence,) = looks(polars.Series(with_some(float(value), column)), ending=ending)
    assert sentence.startswith(f"odd is {value:,.0f} in ")
    assert sentence.endswith("; if it stands for a missing value, leave those cells empty")


def test_values_of_a_target_for_missing_ones(looks: Looks) -> None:
    values = numpy.random.default_rng(1).normal(0, 2, ROWS)
    (sentence,) = looks(numpy.arange(ROWS) / 7, y=polars.Series(with_some(-999.0, values)))
    assert sentence.startswith("a target is -999 in ")


@pytest.mark.parametrize(
    "column",
    [
        pytest.param([index % 100 for index in range(ROWS)], id="ages up to 99"),
        pytest.param(with_some(-1.0, numpy.arange(ROWS) / 7, ROWS), id="once"),
        pytest.param([float(index % 3 == 0) * 99 for index in range(ROWS)], id="one other value"),
        pytest.param([1e5 * numpy.sin(index) for index in range(ROWS)], id="large numbers"),
    ],
)
def test_numbers_that_are_numbers(looks: Looks, column: list[float]) -> None:
    assert looks(polars.Series(column)) == []


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=40, max_size=80),
    st.sampled_from([-9999.0, 999.0, 99.0]),
    st.integers(0, 6),
)
def test_a_number_of_nines_is_named_if_and_only_if_it_is_far_from_all_others(
    others: list[float], value: float, times: int
) -> None:
    column = polars.Series("odd", [*(other for other in others if other != value), *[value] * times])
    rest = column.filter(column != value)
    low, high = float(rest.min()), float(rest.max())  # type: ignore[arg-type]
    distance = low - value if value < low else value - high
    expected = times >= 2 and rest.n_unique() >= 2 and distance > 0.5 * (high - low)
    assert any(f"odd is {value:,.0f} " in sentence for sentence in _as_missing(column, "train rows")) == expected


def test_values_inside_of_series_for_missing_ones(tmp_path: Path) -> None:
    draw = numpy.random.default_rng(2)
    x = draw.normal(size=(40, 2, 12))
    x[:, 1][draw.random((40, 12)) < 0.1] = -999
    x[3, :, 4:] = numpy.nan
    numpy.savez(tmp_path / "series.npz", x=x, y=numpy.arange(40) % 2)
    found = [each for each in inspect(SeriesData(path=str(tmp_path / "series.npz"))).suspicions if "missing" in each]
    assert len(found) == 1
    assert (
        f"channel 1 is -999 in {(x[:, 1] == -999).sum()} of {40 * 12 - 8} steps, far from its other values" in found[0]
    )


def test_dates_that_are_read_as_numbers(looks: Looks) -> None:
    days = [date(2019, 11, 20) + timedelta(days=index % 97) for index in range(ROWS)]
    numbers = [int(f"{day:%Y%m%d}") for day in days]
    for ending in ("csv", "parquet"):
        (sentence,) = looks(numbers, ending=ending)
        assert sentence == "odd is read as numbers, and all are dates such as 20191120; write them as 2019-11-20"
    assert looks([*numbers[:-1], 20191131]) == []  # November has 30 days
    assert looks([20191101 + index % 9 for index in range(ROWS)]) == []


def test_two_spellings_of_a_category_or_a_class(looks: Looks) -> None:
    towns = ["New York", "Boston", "NEW  YORK", "Rome"] * (ROWS // 4)
    (sentence,) = looks(towns)
    assert sentence == (
        "some values of odd differ in upper and lower case or in spaces alone, such as 'NEW  YORK' and 'New York'; "
        "write each one way if they are one"
    )
    (sentence,) = looks(numpy.arange(ROWS) / 7, y=["yes", "no", "Yes", "no"] * (ROWS // 4))
    assert sentence.startswith(
        "some classes differ in upper and lower case or in spaces alone, such as 'Yes' and 'yes'"
    )


def test_fit_prints_them(fit: Fit, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    column = with_some(-999, range(ROWS))
    frame = polars.DataFrame({"x": range(ROWS), "age": column, "y": ["no", "yes"] * (ROWS // 2)})
    frame.write_csv(tmp_path / "rows.csv")
    words = ("--data", "TableData", "--data.path", str(tmp_path / "rows.csv"), "--data.target", "y")
    fit(*words, "--trainer.max_epochs", "1")
    assert "look: age is -999 in " in capfd.readouterr().out
