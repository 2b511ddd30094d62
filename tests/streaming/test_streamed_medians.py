"""The medians and quartiles of streamed rows are those of all train rows, however the file is sorted."""

from pathlib import Path

import numpy
import polars
import pytest

from datamodules import StreamedTable

ROWS = 200_000
"""Of them 140,000 train; medians come from a sample of 65,536."""


@pytest.mark.parametrize("sorting", ["ascending", "descending", "shuffled"])
@pytest.mark.parametrize(("offset", "spread"), [(0.0, 1.0), (-500.0, 40.0)])
def test_sorted_rows_have_the_medians_of_all_rows(tmp_path: Path, sorting: str, offset: float, spread: float) -> None:
    draw = numpy.random.default_rng(3)
    a = numpy.sort(offset + spread * draw.exponential(size=ROWS))
    a = {"ascending": a, "descending": a[::-1], "shuffled": draw.permutation(a)}[sorting]
    missing = draw.random(ROWS) < 0.1
    frame = polars.DataFrame({"a": a, "b": [None if no else value for value, no in zip(a, missing, strict=True)]})
    frame.with_columns(y=polars.Series(draw.integers(0, 2, ROWS))).write_parquet(tmp_path / "rows.parquet")
    data = StreamedTable(str(tmp_path / "rows.parquet"), "y", normalize="robust", cache=str(tmp_path / "cache"))
    data.setup("fit")
    middle = numpy.median(a)
    # The standard error of a median of n values is 1 / (2 f(median) sqrt(n)), and f is 0.5 / spread here.
    tolerance = 5 * spread * (1 / 65_536 + 1 / 140_000) ** 0.5
    train = data.part("train")
    given, x = frame.select("a", "b")[train["row"].numpy()], train["x"].double().numpy()
    for column, values in enumerate((a, numpy.where(missing, middle, a))):
        low, high = numpy.quantile(values, [0.25, 0.75])
        there = given.to_series(column).is_not_null().to_numpy()
        # Undoes the normalization, x = (value - center) / scale.
        scale, center = numpy.polyfit(x[there, column], given.to_series(column).drop_nulls().to_numpy(), 1)
        assert center == pytest.approx(middle, abs=tolerance)
        assert scale == pytest.approx(high - low, abs=5 * tolerance)
        assert numpy.allclose(x[~there, column] * scale + center, middle, atol=tolerance)
