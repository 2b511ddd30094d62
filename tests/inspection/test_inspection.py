"""A look before training: what is counted is so, what leaks is named, what does not is left in peace."""

import json
from pathlib import Path

import numpy
import polars
import pytest
import torch
from conftest import Fit
from paths import REPOSITORY
from tiny_data import small_data

from datamodules import InMemoryData, TableData
from datamodules.inspection import leakage
from datamodules.inspection.inspection import Inspection, inspect
from experiments.__main__ import main

ROWS = 600


def table(seed: int = 0) -> dict[str, numpy.ndarray]:
    """Innocent columns and a target that they say something about, but not everything."""
    draw = numpy.random.default_rng(seed)
    y = draw.integers(0, 3, ROWS)
    return {
        "height": draw.normal(size=ROWS) + 0.5 * y,
        "age": draw.integers(18, 90, ROWS),
        "colour": numpy.array(["red", "green", "blue"])[draw.integers(0, 3, ROWS)],
        "y": y,
    }


def look(tmp_path: Path, columns: dict[str, numpy.ndarray], **kwargs) -> Inspection:
    path = tmp_path / "table.csv"
    polars.DataFrame(columns).write_csv(path)
    return inspect(TableData(path=str(path), target="y", **kwargs))


def test_counts_and_statistics_are_those_of_the_train_rows(tmp_path: Path) -> None:
    columns = table()
    columns["height"][:7] = numpy.nan
    path = tmp_path / "table.csv"
    polars.DataFrame(columns).write_csv(path)
    data = TableData(path=str(path), target="y")
    seen = inspect(data)
    assert seen.rows == {"train": 420, "val": 90, "test": 90}
    for label, counts in seen.classes.items():
        for part, count in counts.items():
            assert count == (columns["y"][getattr(data.split, part).numpy()] == int(label)).sum()
    by_name = {column.name: column for column in seen.columns}
    train = data.split.train.numpy()
    heights = columns["height"][train]
    heights = heights[~numpy.isnan(heights)]
    wanted = {"mean": heights.mean(), "std": heights.std(), "min": heights.min(), "max": heights.max()}
    assert by_name["height"].numbers == pytest.approx(wanted)
    assert by_name["height"].missing == 7
    assert by_name["age"].different == len(numpy.unique(columns["age"]))
    values, counts = numpy.unique(columns["colour"][train], return_counts=True)
    assert by_name["colour"].most_frequent == (values[counts.argmax()], pytest.approx(counts.max() / len(train)))
    assert seen.duplicates == 0
    assert seen.suspicions == []


@pytest.mark.parametrize("seed", range(8))
def test_nothing_is_suspected_of_innocent_columns(tmp_path: Path, seed: int) -> None:
    assert look(tmp_path, table(seed)).suspicions == []


LEAKS = {
    "a category": lambda y, draw: numpy.array(["home", "ward", "dead"])[y],
    "a number": lambda y, draw: 10.0 * y + draw.normal(size=ROWS),
    "nearly always": lambda y, draw: numpy.where(draw.random(ROWS) < 0.01, "home", numpy.array(["a", "b", "c"])[y]),
}


def test_a_number_of_a_large_table_is_looked_at_in_some_rows_of_each_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = []
    monkeypatch.setattr(leakage, "MOST", 60)
    quantiles = leakage._quantiles
    monkeypatch.setattr(leakage, "_quantiles", lambda *given: looked_at.append(given) or quantiles(*given))
    columns = table()
    answer = LEAKS["a number"](columns["y"], numpy.random.default_rng(1))
    (sentence,) = look(tmp_path, {"answer": answer, **columns}).suspicions
    assert sentence.startswith("answer alone explains")
    assert looked_at
    assert all((len(column), train) == (105, 60) for column, train in looked_at)  # of 420 train and 90 val rows


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_a_column_that_knows_the_answer_is_named(tmp_path: Path, leak) -> None:
    columns = table()
    answer = leak(columns["y"], numpy.random.default_rng(1))
    (sentence,) = look(tmp_path, {"answer": answer, **columns}).suspicions
    assert sentence.startswith("answer alone explains")


def test_a_number_that_is_the_regression_target_in_other_units_is_named(tmp_path: Path) -> None:
    columns = table()
    columns["y"] = numpy.random.default_rng(2).normal(size=ROWS)
    (sentence,) = look(tmp_path, {"inches": columns["y"] / 2.54, **columns}).suspicions
    assert sentence.startswith("inches alone explains")


def test_ids_and_groups_in_several_parts_are_named(tmp_path: Path) -> None:
    columns = table()
    columns |= {"visit": numpy.arange(ROWS), "patient_id": numpy.random.default_rng(3).integers(0, 120, ROWS)}
    sentences = look(tmp_path, columns).suspicions
    assert any(one.startswith("visit has another whole number in each row") for one in sentences)
    assert any(one.startswith("patient_id looks like groups") and "--data.group patient_id" in one for one in sentences)
    assert len(sentences) == 2
    assert look(tmp_path, columns, drop="visit", group="patient_id").suspicions == []


def test_a_length_that_knows_the_answer_is_named() -> None:
    y = torch.arange(90) % 3
    data: InMemoryData = small_data(torch.randn(90, 2, 8), y)
    data.rows.lengths = 2 + 2 * y
    (sentence,) = inspect(data).suspicions
    assert sentence.startswith("length alone explains")


def test_the_command_prints_it_and_a_fit_writes_it(
    tmp_path: Path, fit: Fit, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = {"answer": numpy.array(["home", "ward", "dead"])[table()["y"]], **table()}
    polars.DataFrame(columns).write_csv(tmp_path / "table.csv")
    words = ["--data", "TableData", "--data.path", str(tmp_path / "table.csv"), "--data.target", "y"]
    assert main(["inspect", *words]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for sentence in (
        "420 train, 90 val, 90 test",
        "colour categorical",
        "--figures FOLDER draws histograms",
        "look: answer alone explains 100.0%",
    ):
        assert sentence in printed
    path = fit("--model", "LitLinear", "--trainer.max_epochs", "1", *words)["path"]
    written = json.loads((path / "inspection.json").read_text())
    seen = inspect(TableData(path=str(tmp_path / "table.csv"), target="y"))
    assert written == json.loads(json.dumps(seen.plain()))
    split = polars.read_parquet(path / "split.parquet")
    parts = TableData(path=str(tmp_path / "table.csv"), target="y").split._asdict()
    for part, rows in parts.items():
        assert split.filter(polars.col("part") == part)["row"].to_list() == rows.tolist()


def test_a_recipe_is_looked_at_as_it_stands_and_data_that_cannot_be_read_are_told(
    capfd: pytest.CaptureFixture[str],
) -> None:
    recipe = REPOSITORY / "experiments/configs/recipes/mnist1d/cnn.yaml"
    assert main(["inspect", "-c", str(recipe)]) == 0
    assert "MNIST1D: multiclass, series rows of 1 x 40" in capfd.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        main(["inspect", "--data", "TableData", "--data.path", "nowhere.csv", "--data.target", "y"])
    assert stopped.value.code == 2
    assert "nowhere.csv cannot be read" in capfd.readouterr().err


def test_columns_of_ids_are_left_out_and_the_rest_is_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ids.csv"
    texts = {name: [f"{name} {row} x" for row in range(ROWS)] for name in ("customer", "comment")}
    polars.DataFrame({**texts, **table()}).write_csv(path)
    words = ["--data", "TableData", "--data.path", str(path), "--data.target", "y", "--data.drop", "age"]
    assert main(["inspect", *words]) == 0
    printed = capfd.readouterr().out.splitlines()
    assert [line.split()[3] for line in printed if line.startswith("left out: column ")] == ["customer", "comment"]
    columns = {line.split()[0] for line in printed if line.startswith(" ") and line.strip()}
    assert {"height", "colour"} <= columns
    assert not {"age", "customer", "comment"} & columns
    with pytest.raises(SystemExit, match="2"):
        main(["inspect", *words, "--data.target", "nothing"])  # another error is one still


def test_the_strongest_single_columns_are_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    columns = table()
    leaks = {"leak": columns["y"] * 3, "half": columns["y"] > 0}
    seen = look(tmp_path, {**columns, **leaks})
    assert list(seen.strongest)[:2] == ["leak", "half"]
    assert len(seen.strongest) == 3
    assert seen.strongest["leak"] == 1
    assert 0.3 < seen.strongest["half"] < 0.7
    words = ["--data", "TableData", "--data.path", str(tmp_path / "table.csv"), "--data.target", "y"]
    assert main(["inspect", *words]) == 0
    line = f"one column alone explains: leak 100.0%, half {seen.strongest['half']:.1%}, "
    assert line in capfd.readouterr().out
