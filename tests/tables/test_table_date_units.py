"""Dates in a Parquet file are days since 1970-01-01, in whatever unit the file stores them."""

from datetime import datetime, timedelta
from pathlib import Path

import polars
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_data import QUICK

from datamodules import DataModule, StreamedTable, TableData

EPOCH = datetime(1970, 1, 1)
ROWS = 30
STARTS = st.datetimes(datetime(1905, 1, 1), datetime(2090, 1, 1)).map(lambda moment: moment.replace(microsecond=0))
STEPS = st.integers(1, 10_000_000).map(lambda seconds: timedelta(seconds=seconds))


def inputs(data: DataModule) -> torch.Tensor:
    """The first column of all rows, in their order."""
    data.setup("fit")
    batches = [data.part(name) for name in ("train", "val", "test")]
    row, x = (torch.cat([batch[name] for batch in batches]) for name in ("row", "x"))
    return x[row.argsort(), 0].double()


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("streamed", [False, True])
@settings(QUICK, max_examples=5)
@given(start=STARTS, step=STEPS, zone=st.sampled_from([None, "UTC"]))
def test_a_moment_is_its_days_in_every_unit(
    tmp_path_factory: pytest.TempPathFactory,
    unit: str,
    streamed: bool,
    start: datetime,
    step: timedelta,
    zone: str | None,
) -> None:
    folder = tmp_path_factory.mktemp("dates")
    moments = [start + step * index for index in range(ROWS)]
    column = polars.Series("when", moments).cast(polars.Datetime(unit))
    column = column.dt.replace_time_zone(zone) if zone else column
    frame = polars.DataFrame([column, polars.Series("y", [0, 1] * (ROWS // 2))])
    frame.write_parquet(folder / "dates.parquet")
    options = {"path": str(folder / "dates.parquet"), "target": "y", "normalize": "none"}
    data = StreamedTable(**options, cache=str(folder)) if streamed else TableData(**options, types={"when": "date"})
    days = torch.tensor([(moment - EPOCH) / timedelta(days=1) for moment in moments], dtype=torch.float64)
    torch.testing.assert_close(inputs(data), days, rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_a_duration_is_its_days_in_every_unit(tmp_path: Path, unit: str) -> None:
    lasted = [timedelta(hours=7 * index + 1) for index in range(ROWS)]
    column = polars.Series("lasted", lasted).cast(polars.Duration(unit))
    polars.DataFrame([column, polars.Series("y", [0, 1] * (ROWS // 2))]).write_parquet(tmp_path / "t.parquet")
    days = torch.tensor([duration / timedelta(days=1) for duration in lasted], dtype=torch.float64)
    data = TableData(str(tmp_path / "t.parquet"), "y", normalize="none")
    torch.testing.assert_close(inputs(data), days, rtol=1e-6, atol=1e-6)
