"""``--data.id`` is no input: it names the rows of a test, of predictions, of bad rows, of exports and of a server."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
from conftest import Fit
from digit_images import digits
from opinion_texts import opinions
from people_table import people
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from wave_series import as_long, waves

from experiments.__main__ import main
from experiments.inference import load
from experiments.serve.batching import Answers
from experiments.serve.server_settings import Body

QUICK = ("--model", "LitLinear", "--trainer.max_epochs", "1", "--seed_everything", "0", "--run", "a")
TABLE = ("--data", "TableData", "--data.target", "label", "--data.id", "id")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tables, and a run whose test rows are in a file of their own."""
    home = tmp_path_factory.mktemp("ids")
    rows = people()
    rows[:90].write_csv(home / "train.csv")
    rows[90:].write_csv(home / "test.csv")
    rows.write_parquet(home / "all.parquet")
    paths = ("--data.path", str(home / "train.csv"), "--data.test_path", str(home / "test.csv"))
    assert main(["fit", *TABLE, *paths, *QUICK, "--figures", "true", "--trainer.default_root_dir", str(home)]) == 0
    return home


@pytest.fixture
def predict(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[polars.DataFrame, str]]:
    """Predicts a frame as CSV; returns the predictions and what is printed."""

    def run(path: Path, frame: polars.DataFrame, name: str = "new.csv") -> tuple[polars.DataFrame, str]:
        frame.write_csv(tmp_path / name)
        capfd.readouterr()
        words = ["--input", str(tmp_path / name), "--output", str(tmp_path / "out.parquet")]
        assert main(["predict", "--ckpt_path", str(path), *words]) == 0
        return polars.read_parquet(tmp_path / "out.parquet"), capfd.readouterr().out

    return run


def named(path: Path, *names: str) -> list[Any]:
    """The names of a run's test rows, of one column or of several."""
    frame = polars.read_parquet(path / "predictions.parquet").sort("row").select("row", *names)
    return frame.drop("row").rows() if len(names) > 1 else frame[names[0]].to_list()


def test_the_rows_of_a_run_and_its_worst_rows_have_their_names(home: Path) -> None:
    path = home / "runs" / "tabledata" / "a"
    assert named(path, "id") == [f"u{row}" for row in range(90, 120)]
    columns = {column["name"] for column in json.loads((path / "inspection.json").read_text())["columns"]}
    assert columns == {"age", "city", "member", "joined", "income"}
    events = EventAccumulator(str(path), size_guidance={"tensors": 0}).Reload()
    tag = next(tag for tag in events.Tags()["tensors"] if "worst_rows" in tag)
    (worst,) = events.Tensors(tag)[0].tensor_proto.string_val
    row = int(worst.decode().splitlines()[2].split("|")[1].split(",")[0])
    assert f"| {row}, id u{row} |" in worst.decode()


def test_predictions_and_bad_rows_have_names_and_a_file_without_them_is_predicted_with_a_note(
    home: Path, tmp_path: Path, predict: Callable[..., tuple[polars.DataFrame, str]]
) -> None:
    run, rows = (
        home / "runs" / "tabledata" / "a",
        people(6, seed=1).with_columns(id=polars.Series([*"0123", None, "é"])),
    )
    broken = rows.with_columns(age=polars.Series(["30", "old", None, "20", "50", "60"]))
    got, message = predict(run, broken)
    assert got.columns == ["row", "id", "prediction", "probability_no", "probability_yes"]
    assert got["id"].to_list() == ["0", "2", "3", None, "é"]
    assert "ignored: label\n" in message  # and not the id
    bad = polars.read_parquet(tmp_path / "out.bad.parquet")
    assert bad.rows() == [(1, "1", "column age is 'old', which is not a number")]
    without, message = predict(run, broken.drop("id"))
    assert without.equals(got.drop("id"))
    assert "there is no column id, which --data.id named in training" in message
    # Values of Parquet and of frames keep their type, and an array of numbers has no infinite name.
    numbers = rows.with_columns(id=polars.Series([1.5, float("inf"), 3, 4, 5, None]))
    assert load(run).predict(numbers)["id"].to_list() == [1.5, None, 3, 4, 5, None]
    with pytest.raises(ValueError, match=r"--data.id id: it holds List\(Int64\), which names no row"):
        load(run).predict(rows.with_columns(id=polars.Series([[1]] * 6)))


def test_exports_and_servers_return_the_names_and_the_graph_has_no_such_input(home: Path, tmp_path: Path) -> None:
    run = home / "runs" / "tabledata" / "a"
    words = ["--format", "safetensors", "--output", str(tmp_path / "export")]
    assert main(["export", "--ckpt_path", str(run), *words]) == 0
    assert main(["export", "--verify", str(tmp_path / "export")]) == 0
    signature = json.loads((tmp_path / "export" / "signature.json").read_text())
    assert [spec.get("features") for spec in signature["inputs"]] == [["age", "joined", "income"], ["city", "member"]]
    from experiments.export import load_export

    rows = people(5, seed=2)
    exported, own = load_export(tmp_path / "export"), load(run)
    assert exported.predict(rows)["id"].to_list() == own.predict(rows)["id"].to_list() == rows["id"].to_list()
    objects = [{**row, "joined": str(row["joined"])} for row in rows.drop("label").to_dicts()]
    requests = [objects[:2], [{**objects[2], "id": 7}], [{n: v for n, v in objects[3].items() if n != "id"}]]
    bodies = [Body("application/json", json.dumps({"rows": some}).encode()) for some in requests]
    replies = Answers(own, 10)([*bodies, Body("text/csv", rows[4:].write_csv().encode())])
    assert [reply.status for reply in replies] == [200] * 4
    answers = [[row.get("id") for row in reply.content["predictions"]] for reply in replies]
    assert answers == [["u0", "u1"], [7], [None], ["u4"]]
    assert "there is no column id" in str(replies[2].content["notes"])


def test_the_name_changes_no_number_and_may_change_at_a_resume(
    home: Path, fit: Fit, tmp_path: Path, compare_json: Callable[..., Any]
) -> None:
    data = ("--data", "TableData", "--data.path", str(home / "all.parquet"), "--data.target", "label")
    dropped = (*data, "--data.drop", "[id,income]", *QUICK[:-2], "--experiment", "one")
    without, with_name = fit(*dropped), fit(*dropped, "--data.id", "id")
    assert without["fingerprints"] == with_name["fingerprints"]
    assert without["metrics"] == with_name["metrics"]
    first, second = (polars.read_parquet(run["path"] / "predictions.parquet") for run in (without, with_name))
    assert second.drop("id").equals(first)
    fit(*dropped, "--data.id", "id", "--seed_everything", "1")
    groups = [group for block in compare_json(tmp_path / "runs")["blocks"] for group in block["groups"]]
    assert [len(group["runs"]) for group in groups] == [2]  # the seeds, of which 0 ran twice with one result
    again = ["--data.id", "income", "--trainer.max_epochs", "2", "--run", without["path"].name, "--figures", "false"]
    assert main(["fit", *again, "--experiment", "one", "--trainer.default_root_dir", str(tmp_path)]) == 0
    assert polars.read_parquet(without["path"] / "predictions.parquet").columns[:2] == ["row", "income"]


@pytest.mark.parametrize(
    ("words", "message"),
    {
        "a target": (("--data.id", "label"), "--data.target names one or more different columns that serve nothing"),
        "no column": (("--data.id", "nobody"), "--data.id nobody: there is no such column to use"),
        "of predictions": (("--data.id", "row"), "--data.id row: predictions have a column of that name"),
        "a prefix": (("--data.id", "target_of"), "--data.id target_of: predictions have a column of that name"),
    }.values(),
)
def test_columns_that_cannot_name_rows_are_refused(
    words: tuple[str, str], message: str, tmp_path: Path, refused: Callable[..., str]
) -> None:
    people().rename({"id": "row"}).with_columns(target_of=polars.lit(1)).write_csv(tmp_path / "t.csv")
    data = ("--data", "TableData", "--data.path", str(tmp_path / "t.csv"), "--data.target", "label")
    assert message in refused(*data, "--model", "LitLinear", *words)


def test_a_name_in_another_form_than_in_the_train_rows_is_refused(tmp_path: Path, refused: Callable[..., str]) -> None:
    rows = people().with_columns(id=polars.int_range(120))
    rows[:90].write_csv(tmp_path / "train.csv")
    rows[90:].with_columns(id=polars.lit("A7")).write_csv(tmp_path / "test.csv")
    paths = ("--data.path", str(tmp_path / "train.csv"), "--data.test_path", str(tmp_path / "test.csv"))
    message = refused(*TABLE, *paths, "--model", "LitLinear")
    assert "column id, which --data.id names, is 'A7' in row 0 (line 2) of" in message


def test_texts_have_names(
    fit: Fit, tmp_path: Path, predict: Callable[..., tuple[polars.DataFrame, str]], refused: Callable[..., str]
) -> None:
    rows = opinions(60).with_columns(ticket=polars.format("T-{}", polars.int_range(60)))
    rows.write_csv(tmp_path / "texts.csv")
    words = ("--data", "TextData", "--data.path", str(tmp_path / "texts.csv"), "--data.text", "text")
    words = (*words, "--data.target", "label", *QUICK)
    assert "--data.text names one or more different columns" in refused(*words, "--data.id", "text")
    path = fit(*words, "--data.id", "ticket")["path"]
    row = polars.read_parquet(path / "predictions.parquet").sort("row")["row"]
    assert named(path, "ticket") == [f"T-{number}" for number in row]
    assert predict(path, rows[5:7])[0]["ticket"].to_list() == ["T-5", "T-6"]
    assert "there is no column ticket" in predict(path, rows[5:7].drop("ticket"))[1]
    assert load(path).predict(["so soft"]).columns[:2] == ["row", "prediction"]


def test_images_of_an_index_file_have_names(
    fit: Fit, tmp_path: Path, predict: Callable[..., tuple[polars.DataFrame, str]]
) -> None:
    x, y = digits(60)
    for number, pixels in enumerate(x):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    paths = [f"{number}.png" for number in range(60)]
    rows = polars.DataFrame({"path": paths, "digit": y, "scan": [f"S{number}" for number in range(60)]})
    rows.write_csv(tmp_path / "index.csv")
    words = ("--data", "ImageData", "--data.path", str(tmp_path / "index.csv"), "--data.target", "digit")
    path = fit(*words, "--data.id", "scan", *QUICK)["path"]
    row = polars.read_parquet(path / "predictions.parquet").sort("row")["row"]
    assert named(path, "scan") == [f"S{number}" for number in row]
    got = predict(path, rows[3:5])[0]
    assert got.select("row", "file", "scan").rows() == [(0, "3.png", "S3"), (1, "4.png", "S4")]


@pytest.mark.parametrize("window", [(), ("--data.window", "6")])
def test_the_rows_of_a_run_on_series_have_the_names_that_predictions_have(
    window: tuple[str, ...], fit: Fit, tmp_path: Path
) -> None:
    frame = as_long(waves(30), order=None)
    frame.write_parquet(tmp_path / "long.parquet")
    options = ("--data.id", "who", "--data.step", "at", "--data.target", "y", "--data.drop", "[person,day]")
    path = fit("--data", "SeriesData", "--data.path", str(tmp_path / "long.parquet"), *options, *window, *QUICK)["path"]
    columns = ["series", "start"] if window else ["series"]
    every = load(path).predict(frame)  # its rows are counted as those of the run
    tested = polars.read_parquet(path / "predictions.parquet").sort("row")
    assert tested.columns[: len(columns) + 1] == ["row", *columns]
    assert tested.select(columns).rows() == every[tested["row"].to_numpy()].select(columns).rows()


def test_streamed_rows_have_names_in_the_order_of_the_files(fit: Fit, tmp_path: Path) -> None:
    rows = people(200)
    (tmp_path / "parts").mkdir()
    for number in range(4):
        rows[50 * number : 50 * number + 50].write_parquet(tmp_path / "parts" / f"{number}.parquet", row_group_size=7)
    words = ("--data", "StreamedTable", "--data.path", str(tmp_path / "parts"), "--data.cache", str(tmp_path / "cache"))
    path = fit(*words, *TABLE[2:], *QUICK)["path"]
    row = polars.read_parquet(path / "predictions.parquet").sort("row")["row"]
    assert numpy.unique(row // 50).size > 1
    assert named(path, "id") == [f"u{number}" for number in row]


def test_the_baselines_have_names(tmp_path: Path) -> None:
    opinions(60).with_columns(ticket=polars.int_range(60) * 3).write_csv(tmp_path / "texts.csv")
    words = ("--data", "TextData", "--data.path", str(tmp_path / "texts.csv"), "--data.text", "text")
    words = (*words, "--data.target", "label", "--data.id", "ticket", "--trainer.default_root_dir", str(tmp_path))
    assert main(["floor", *words]) == 0
    for path in tmp_path.glob("runs/*/*/predictions.parquet"):
        row = polars.read_parquet(path).sort("row")["row"]
        assert named(path.parent, "ticket") == [3 * number for number in row]
