"""Does this column help? Runs of the same rows, target and split are compared whatever their input columns are."""

import json
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
from compared_groups import Output
from conftest import Fit
from handmade_runs import record_run

from datamodules import TableData

ROWS = 60


def people(seed: int = 0) -> polars.DataFrame:
    draw = numpy.random.default_rng(seed)
    columns = {name: draw.normal(size=ROWS) for name in ("age", "height", "weight")}
    kind = numpy.where(columns["age"] + columns["height"] > 0, "yes", "no")
    return polars.DataFrame(columns | {"city": draw.choice(["Rome", "Paris"], ROWS), "answer": kind})


def trained(fit: Fit, frame: polars.DataFrame, *words: str) -> dict[str, Any]:
    """Fits a model on a file of its own."""
    path = frame.write_csv()
    file = Path.cwd() / f"{abs(hash(path))}.csv"
    file.write_text(path)
    own = ("--data", "TableData", "--data.path", str(file), "--data.target", "answer", "--experiment", "e")
    return fit(*own, "--model", "LitLinear", "--trainer.max_epochs", "1", "--seed_everything", "0", *words)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_runs_with_other_input_columns_are_compared_and_the_difference_is_named(
    here: Path, fit: Fit, compare_json: Any, compare_output: Output
) -> None:
    frame = people()
    trained(fit, frame)
    trained(fit, frame, "--data.drop", "weight")
    trained(fit, frame.select("age", "answer"))
    wider = trained(
        fit, frame.with_columns(income=polars.Series(range(ROWS)) * 1.5).select(sorted([*frame.columns, "income"]))
    )
    (block,) = compare_json(here / "runs")["blocks"]
    labels = {group["group"] for group in block["groups"]}
    assert labels == {
        "LitLinear inputs=all",
        "LitLinear inputs=without income",
        "LitLinear inputs=without weight,income",
        "LitLinear inputs=only age",
    }
    changed = compare_output(here / "runs", "--what-changed", "--format", "markdown")
    assert [line.split("|")[1].strip() for line in changed.splitlines() if line.startswith("| ")] == [
        *("setting", "---", "data.inputs", "seed")
    ]
    # A record of an earlier version has no columns: it is compared with runs whose data have its fingerprint.
    record = wider["path"] / "record.json"
    content = json.loads(record.read_text())
    del content["columns"]
    (record.parent.parent / "older").mkdir()
    for file in record.parent.iterdir():
        if file.is_file():
            (record.parent.parent / "older" / file.name).write_bytes(file.read_bytes())
    content |= {"seed": 7, "hyperparameters": content["hyperparameters"] | {"seed": 7}}
    (record.parent.parent / "older" / "record.json").write_text(json.dumps(content))
    (block,) = compare_json(here / "runs")["blocks"]
    assert {group["group"]: group["n"] for group in block["groups"]}["LitLinear inputs=all"] == 2


def recorded(folder: Path, frame: polars.DataFrame, **options: Any) -> Path:
    """Writes a handmade run on a table, with the fingerprints that a fit would record; returns the folder of runs."""
    folder.mkdir(exist_ok=True)
    name = str(len([*folder.iterdir()]))
    frame.write_csv(folder.parent / "table.csv")
    data = TableData(str(folder.parent / "table.csv"), "answer", **options)
    prints = {"fingerprints": data.fingerprints(), "columns": data.column_fingerprints()}
    target, seed = data.rows.y[data.split_now().test].numpy(), int(name)
    row = data.split_now().test.numpy()
    record_run(folder / name, target, target * 0.6 + 0.2, "binary", row=row, seed=seed, data="TableData", **prints)
    return folder


@pytest.mark.parametrize("change", ["cell", "order", "sorted target"])
def test_other_rows_are_not_compared(tmp_path: Path, compare_output: Output, change: str) -> None:
    frame = people().sort("answer")
    other = {
        "cell": frame.with_columns(height=frame["height"].to_numpy() + numpy.eye(ROWS)[3]),
        "order": frame[::-1],
        "sorted target": people(1).sort("answer").rename({name: name.upper() for name in frame.columns[:-1]}),
    }[change].drop("age", strict=False)
    for table in (frame, other):
        recorded(tmp_path / "runs", table)
    output = compare_output(tmp_path / "runs")
    assert "the rows of TableData are not the rows of TableData in the first" in output
    assert ("column height has other values" in output) == (change != "sorted target")


def test_a_split_that_other_copies_change_says_how_to_keep_it(tmp_path: Path, compare_output: Output) -> None:
    frame = people().with_columns(age=polars.Series([1, 2] * (ROWS // 2)))
    for drop in ([], ["height", "weight"]):
        recorded(tmp_path / "runs", frame, drop=drop)
        recorded(tmp_path / "ignoring", frame, drop=drop, duplicates="ignore")
    assert "--data.duplicates ignore gives all runs one split" in compare_output(tmp_path / "runs")
    assert "not compared" not in compare_output(tmp_path / "ignoring")


def test_a_column_has_one_fingerprint_however_it_is_stored(tmp_path: Path) -> None:
    frame = people().with_columns(count=polars.Series([None, *range(1, ROWS)]))
    frame.write_csv(tmp_path / "table.csv")
    frame.with_columns(polars.col("count").cast(polars.Float32)).write_parquet(tmp_path / "table.parquet")
    first, second = (
        TableData(str(tmp_path / name), "answer").column_fingerprints() for name in ("table.csv", "table.parquet")
    )
    assert first == second
