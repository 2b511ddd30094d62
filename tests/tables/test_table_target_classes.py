"""Whole numbers as targets: up to 20 different values are classes, more are numbers."""

from pathlib import Path

import numpy
import polars
import pytest

from datamodules import StreamedTable, TableData


@pytest.mark.parametrize(
    ("different", "task"),
    [(3, "multiclass"), (19, "multiclass"), (20, "multiclass"), (21, "regression"), (22, "regression")],
)
@pytest.mark.parametrize(("start", "step"), [(0, 1), (-7, 3)])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_up_to_twenty_different_integers_are_classes(
    tmp_path: Path, different: int, task: str, start: int, step: int, ending: str
) -> None:
    draw = numpy.random.default_rng(different)
    rows = 20 * different
    y = draw.permutation(start + step * (numpy.arange(rows) % different))
    frame = polars.DataFrame({"x": draw.normal(size=rows), "y": y})
    path = tmp_path / f"table.{ending}"
    frame.write_csv(path) if ending == "csv" else frame.write_parquet(path)
    tables = [TableData(str(path), "y")]
    if ending == "parquet":
        tables.append(StreamedTable(str(path), "y", cache=str(tmp_path / "cache")))
    for data in tables:
        assert data.task == task
        assert data.num_outputs == (different if task == "multiclass" else 1)
        names = [str(start + step * index) for index in range(different)]
        assert list(data.class_names) == (names if task == "multiclass" else [])
