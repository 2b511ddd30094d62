"""Columns of rows by which predictions are looked at in slices, of each kind of data."""

from pathlib import Path

import numpy
import polars
import pytest
import torch
from digit_images import digits, write_npz
from opinion_texts import opinions
from people_table import people
from wave_series import waves

from datamodules import DataModule, Digits, ImageData, SeriesData, StreamedTable, TableData, TextData

INDEX = torch.tensor([7, 0, 3])


def made(kind: str, folder: Path) -> tuple[DataModule, set[str]]:
    """Returns a data module, and columns that it has."""
    if kind == "images":
        path = write_npz(folder / "images.npz", *digits(60))
        return ImageData(path=str(path)), {"mean of channel 0"}
    if kind == "series":
        numpy.savez(folder / "waves.npz", **waves())
        return SeriesData(path=str(folder / "waves.npz")), {"steps"}
    if kind == "windows":
        numpy.savez(folder / "waves.npz", **waves())
        return SeriesData(path=str(folder / "waves.npz"), window=4, stride=4), {"steps", "series", "start"}
    if kind == "texts":
        opinions(80).write_csv(folder / "texts.csv")
        return TextData(path=str(folder / "texts.csv"), text="text", target="label"), {"tokens"}
    if kind == "arrays":
        return Digits(), {"mean of channel 0"}
    people(100).write_parquet(folder / "people.parquet")
    path, names = str(folder / "people.parquet"), {"age", "city"}
    if kind == "streamed":
        return StreamedTable(path=path, target="label", id="id", cache=str(folder)), {*names, "id"}
    return TableData(path=path, target="label", drop="city", id="id"), {*names, "id", "label"}


@pytest.mark.parametrize("kind", ["table", "streamed", "images", "arrays", "series", "windows", "texts"])
def test_each_kind_of_data_has_columns_of_its_rows_in_their_order(kind: str, tmp_path: Path) -> None:
    data, names = made(kind, tmp_path)
    data.part_rows()
    columns = data.columns_at(INDEX)
    assert columns.height == len(INDEX)
    assert names <= {*columns.columns}
    alone = polars.concat([data.columns_at(row.view(1)) for row in INDEX])
    assert columns.equals(alone)


def test_columns_of_a_table_are_those_of_its_file(tmp_path: Path) -> None:
    data, _ = made("table", tmp_path)
    frame = people(100)[INDEX.numpy()]
    found = data.columns_at(INDEX)
    assert found.select(frame.columns).equals(frame)
