"""``evenhand predict``: raw rows in, predictions out, from a checkpoint that was moved away from everything else."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
from conftest import Fit
from digit_images import CLASSES, digits, write_folder, write_index, write_npz
from opinion_texts import opinions
from people_table import people
from PIL import Image
from wave_series import waves

from experiments.__main__ import main

QUICKLY = ("--model", "LitMLP", "--model.hidden", "[8]", "--trainer.max_epochs", "2", "--seed_everything", "0")


class Moved:
    """A run of which nothing is left but its best checkpoint, in another folder; and what it predicted."""

    def __init__(self, record: dict[str, Any], data: list[Path], home: Path) -> None:
        self.path = home / "moved"
        (self.path / "checkpoints").mkdir(parents=True)
        self.recorded = polars.read_parquet(record["path"] / "predictions.parquet")
        shutil.copy(record["path"] / "checkpoints" / "best.ckpt", self.path / "checkpoints")
        shutil.rmtree(record["path"])
        for one in data:
            shutil.rmtree(one) if one.is_dir() else one.unlink()

    @property
    def rows(self) -> list[int]:
        """The run's test rows."""
        return self.recorded["row"].to_list()

    def compare(self, predicted: polars.DataFrame) -> None:
        """Raise unless these are the recorded predictions, in their order."""
        numbers = [one for one in self.recorded.columns if one.startswith("prediction")]
        for name in numbers:
            other = name.replace("prediction", "probability") if len(numbers) > 1 else predicted.columns[-1]
            other = other if other in predicted.columns else name
            assert numpy.abs(predicted[other].to_numpy() - self.recorded[name].to_numpy()).max() < 1e-6
        assert len(predicted) == len(self.recorded)


@pytest.fixture
def predicted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., polars.DataFrame]:
    """``evenhand predict`` of a file; the predictions, and in ``said`` what was printed."""

    def run(moved: Moved, source: Path | str, name: str = "out.parquet") -> polars.DataFrame:
        output = tmp_path / name
        capfd.readouterr()
        assert main(["predict", "--ckpt_path", str(moved.path), "--input", str(source), "--output", str(output)]) == 0
        run.said = capfd.readouterr().out  # type: ignore[attr-defined]
        return polars.read_csv(output) if name.endswith("csv") else polars.read_parquet(output)

    return run


@pytest.fixture
def fails(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The same where it must end with exit code 2, one sentence, and no output."""

    def run(*words: str) -> str:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main(["predict", "--output", str(tmp_path / "none.parquet"), *words])
        said = capfd.readouterr().err.strip()
        assert stopped.value.code == 2, said
        assert not (tmp_path / "none.parquet").exists()
        assert not list(tmp_path.glob(".none*"))
        assert len(said.splitlines()) == 1
        return said

    return run


TASKS = {
    "binary": (["label"], lambda frame: frame),
    "multiclass": (["label"], lambda frame: frame.with_columns(label=polars.col("income").cast(polars.Int64) % 3)),
    "multilabel": (["label", "b"], lambda frame: frame.with_columns(
        label=polars.col("income") > 3e4, b=polars.col("age").fill_null(20) > 50).cast(
        {"label": polars.Int8, "b": polars.Int8})),
    "regression": (["label"], lambda frame: frame.with_columns(label=polars.col("income") / 7 + 1)),
}  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_test_rows_of_a_table(task: str, ending: str, fit: Fit, tmp_path: Path, predicted: Any) -> None:
    target, change = TASKS[task]
    frame, path = change(people()), tmp_path / f"my.{ending}"
    write = getattr(frame, f"write_{ending}")
    write(path)
    named = json.dumps(target)
    record = fit("--data", "TableData", "--data.path", str(path), "--data.target", named, "--data.drop", "id", *QUICKLY)
    moved = Moved(record, [path], tmp_path)
    new = tmp_path / f"new.{ending}"
    raw = (polars.read_csv(path) if path.exists() else frame)[moved.rows].drop(target)
    other = raw.select(sorted(raw.columns, reverse=True))
    getattr(other, f"write_{ending}")(new)
    got = predicted(moved, new)
    moved.compare(got)
    assert got["row"].to_list() == list(range(len(moved.rows)))
    assert "ignored: id" in predicted.said
    if task == "binary":
        assert got.columns == ["row", "prediction", "probability_no", "probability_yes"]
        assert got["prediction"].to_list() == ["yes" if p > 0.5 else "no" for p in moved.recorded["prediction"]]
    if task == "multilabel":
        assert got.columns[1:] == ["prediction_label", "prediction_b", "probability_label", "probability_b"]
        assert got["prediction_b"].to_list() == [int(p > 0.5) for p in moved.recorded["prediction_b"]]
    if task == "regression":
        assert got.columns == ["row", "prediction"]


def text_run(fit: Fit, tmp_path: Path) -> tuple[Moved, polars.DataFrame]:
    path = tmp_path / "my.csv"
    frame = opinions().with_columns(text=polars.col("text") + ', "she said"\nand left')
    frame.write_csv(path)
    words = ("--data", "TextData", "--data.path", str(path), "--data.text", "text", "--data.target", "label")
    return Moved(fit(*words, *QUICKLY), [path], tmp_path), frame


def test_the_test_rows_of_texts(fit: Fit, tmp_path: Path, predicted: Any) -> None:
    moved, frame = text_run(fit, tmp_path)
    rows = frame[moved.rows].drop("label", "writer")
    for ending in ("csv", "parquet"):
        getattr(rows, f"write_{ending}")(tmp_path / f"new.{ending}")
        moved.compare(predicted(moved, tmp_path / f"new.{ending}"))
    folder = tmp_path / "texts"
    (folder / "deep").mkdir(parents=True)
    for place, text in enumerate(rows["text"]):
        (folder / ("deep" if place < 5 else ".") / f"{place:03}.txt").write_text(text)
    files = predicted(moved, folder).sort("file")
    names = [("deep/" if place < 5 else "") + f"{place:03}.txt" for place in range(len(rows))]
    assert files["file"].to_list() == sorted(names)
    order = sorted(range(len(rows)), key=names.__getitem__)
    probability = moved.recorded["prediction"].to_numpy()[order]
    assert numpy.abs(files["probability_1"].to_numpy() - probability).max() < 1e-6


def test_the_test_images(fit: Fit, tmp_path: Path, predicted: Any) -> None:
    x, y = digits()
    path = write_npz(tmp_path / "my.npz", x, y)
    moved = Moved(fit("--data", "ImageData", "--data.path", path, *QUICKLY), [Path(path)], tmp_path)
    rows = x[moved.rows]
    write_folder(tmp_path / "flat", rows, ["."] * len(rows))
    got = predicted(moved, tmp_path / "flat")
    moved.compare(got)
    assert got["file"][:2].to_list() == ["0000.png", "0001.png"]
    assert got.columns == ["row", "file", "prediction", *(f"probability_{digit}" for digit in range(CLASSES))]
    (tmp_path / "i").mkdir()
    moved.compare(predicted(moved, write_index(tmp_path / "i", rows)))
    numpy.save(tmp_path / "x.npy", rows)
    moved.compare(predicted(moved, tmp_path / "x.npy", "out.csv"))
    one = predicted(moved, tmp_path / "flat" / "0001.png")
    assert one["file"].to_list() == ["0001.png"]
    assert numpy.allclose(one["probability_0"], got["probability_0"][1], atol=1e-6)


@pytest.mark.parametrize("window", [(), ("--data.window", "6", "--data.stride", "4")])
def test_the_test_series(window: tuple[str, ...], fit: Fit, tmp_path: Path, predicted: Any) -> None:
    arrays = waves()
    numpy.savez(tmp_path / "my.npz", **arrays)
    words = ("--data", "SeriesData", "--data.path", str(tmp_path / "my.npz"), *window)
    moved = Moved(fit(*words, *QUICKLY), [tmp_path / "my.npz"], tmp_path)
    numpy.savez(tmp_path / "new.npz", x=arrays["x"], lengths=arrays["lengths"])
    got = predicted(moved, tmp_path / "new.npz")
    if window:
        assert got.columns[:3] == ["row", "series", "start"]
    moved.compare(got[moved.rows])
    lines = ["@classLabel false", "@data"]
    for values, length in zip(arrays["x"], arrays["lengths"], strict=True):
        lines.append(":".join(",".join(map(repr, one[:length].tolist())) for one in values))
    (tmp_path / "new.ts").write_text("\n".join(lines))
    moved.compare(predicted(moved, tmp_path / "new.ts")[moved.rows])


def test_the_test_series_in_long_form(fit: Fit, tmp_path: Path, predicted: Any, fails: Any) -> None:
    arrays = waves()
    rows = [
        {"who": f"s{one}", "at": step, "u": values[0, step], "v": values[1, step], "kind": f"k{label}"}
        for one, (values, length, label) in enumerate(zip(arrays["x"], arrays["lengths"], arrays["y"], strict=True))
        for step in range(length)
    ]
    frame, path = polars.DataFrame(rows), tmp_path / "long.csv"
    frame.write_csv(path)
    words = ("--data.target", "kind", "--data.id", "who", "--data.step", "at")
    moved = Moved(fit("--data", "SeriesData", "--data.path", str(path), *words, *QUICKLY), [path], tmp_path)
    shuffled = frame.drop("kind").filter(polars.col("who").is_in([f"s{row}" for row in moved.rows]))
    shuffled.select("v", "at", "who", "u").reverse().write_csv(tmp_path / "new.csv")
    got = predicted(moved, tmp_path / "new.csv").reverse()
    assert got["series"].to_list() == [f"s{row}" for row in moved.rows]
    moved.compare(got)
    broken = shuffled.with_columns(
        u=polars.when(polars.col("who") == f"s{moved.rows[0]}").then(polars.lit("what")).otherwise(polars.col("u"))
    )
    broken.write_csv(tmp_path / "new.csv")
    assert len(predicted(moved, tmp_path / "new.csv")) == len(moved.rows) - 1
    bad = polars.read_parquet(tmp_path / "out.bad.parquet")
    assert bad.select("series", "reason").rows() == [(f"s{moved.rows[0]}", "a u is no number")]
    shuffled.drop("v").write_csv(tmp_path / "new.csv")
    assert "lacks the columns v" in fails("--ckpt_path", str(moved.path), "--input", str(tmp_path / "new.csv"))


@pytest.fixture
def table(fit: Fit, tmp_path: Path) -> Moved:
    path = tmp_path / "my.csv"
    people().write_csv(path)
    words = ("--data", "TableData", "--data.path", str(path), "--data.target", "label", "--data.drop", "id")
    return Moved(fit(*words, *QUICKLY), [path], tmp_path)


def test_bad_rows_go_beside_with_the_reason(table: Moved, tmp_path: Path, predicted: Any, fails: Any) -> None:
    good = "30,Rome,true,2020-05-05,30000.5"
    lines = [
        "age,city,member,joined,income",
        good,
        "old,Rome,true,2020-05-05,1",
        "30,Paris,maybe,2020-05-05,inf",
        "30,Rome,true,2020-05-05",
        '30,"Ro,me",True, 2020-05-05 , 30000.5 ',
        "30,Rome,true,soon,1",
        "",
        good,
    ]
    (tmp_path / "new.csv").write_text("\n".join(lines) + "\n")
    got = predicted(table, tmp_path / "new.csv")
    assert got["row"].to_list() == [0, 4, 6, 7]
    assert got["probability_yes"][0] == got["probability_yes"][3]
    bad = polars.read_parquet(tmp_path / "out.bad.parquet")
    assert bad.rows() == [
        (1, "column age is 'old', which is not a number"),
        (2, "column income is 'inf', which is not finite"),
        (3, "4 fields, and there are 5 columns"),
        (5, "column joined is 'soon', which is not a date"),
    ]
    assert "categories of city that no train row has: 1 of 4 rows" in predicted.said
    assert "4 rows predicted" in predicted.said
    assert "4 more could not be" in predicted.said
    (tmp_path / "new.csv").write_text("\n".join(lines[:2]))
    predicted(table, tmp_path / "new.csv")
    assert not (tmp_path / "out.bad.parquet").exists()
    (tmp_path / "new.csv").write_text("\n".join(lines[::2][:1] + lines[2:4]))
    said = fails("--ckpt_path", str(table.path), "--input", str(tmp_path / "new.csv"))
    assert "none of the 2 rows" in said
    assert (tmp_path / "none.bad.parquet").exists()


def test_a_row_far_down_is_as_good_as_the_first(
    table: Moved, tmp_path: Path, predicted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = people(500, seed=1).drop("label")
    frame.write_csv(tmp_path / "new.csv")
    whole = predicted(table, tmp_path / "new.csv")
    monkeypatch.setattr("datamodules.tables.csv_file.BLOCK", 300)
    monkeypatch.setattr("experiments.inference.table_writer.PART", 200)
    again = predicted(table, tmp_path / "new.csv")
    assert again.drop("prediction").columns == whole.drop("prediction").columns
    assert numpy.allclose(again["probability_yes"], whole["probability_yes"], atol=1e-6)
    assert again["row"].equals(whole["row"])
    monkeypatch.setattr("datamodules.tables.table_source.CELLS", 250)
    frame.write_parquet(tmp_path / "new.parquet")
    assert numpy.allclose(predicted(table, tmp_path / "new.parquet")["probability_yes"], whole["probability_yes"])
    as_csv = predicted(table, tmp_path / "new.parquet", "out.csv")
    assert numpy.allclose(as_csv["probability_yes"], whole["probability_yes"])


def test_what_does_not_fit_is_one_sentence(table: Moved, tmp_path: Path, fails: Any) -> None:
    run, new = ("--ckpt_path", str(table.path)), tmp_path / "new.csv"
    assert "cannot be read: No such file" in fails(*run, "--input", str(new))
    people(5).drop("age", "city").write_csv(new)
    assert "lacks the columns age, city" in fails(*run, "--input", str(new))
    new.write_text("")
    assert "is empty" in fails(*run, "--input", str(new))
    new.write_text("age,city,member,joined,income\n")
    assert "has no rows" in fails(*run, "--input", str(new))
    new.write_text("age,city,member,joined,income,age\n1,2,3,4,5,6\n")
    assert "two columns of the name 'age'" in fails(*run, "--input", str(new))
    new.write_bytes(b"PAR1 and then nothing")
    assert "cannot be read as a table" in fails(*run, "--input", str(new))
    people(5).write_csv(new)
    assert "no folder" in fails(*run, "--input", str(new), "--output", str(tmp_path / "not" / "there.csv"))
    assert "is the input" in fails(*run, "--input", str(new), "--output", str(new))
    assert ".parquet nor .csv" in fails(*run, "--input", str(new), "--output", str(tmp_path / "out.xlsx"))
    assert "without checkpoints/best.ckpt" in fails("--ckpt_path", str(tmp_path), "--input", str(new))


def test_images_that_cannot_be_read_go_beside(fit: Fit, tmp_path: Path, predicted: Any) -> None:
    x, y = digits()
    folder = write_folder(tmp_path / "my", x, y)
    words = ("--data", "ImageData", "--data.path", folder, *QUICKLY)
    moved = Moved(fit(*words), [Path(folder)], tmp_path)
    new = tmp_path / "new"
    (new / "deep").mkdir(parents=True)
    Image.fromarray(x[0]).save(new / "b.png")
    Image.fromarray(x[0]).resize((9, 9)).save(new / "deep" / "c.png")
    (new / "a.png").write_bytes(b"no image")
    got = predicted(moved, new)
    assert got.select("row", "file").rows() == [(1, "b.png")]
    bad = polars.read_parquet(tmp_path / "out.bad.parquet")
    assert bad["file"].to_list() == ["a.png", "deep/c.png"]
    assert "is no image" in bad["reason"][0]
    assert bad["reason"][1].endswith("9 x 9 (height x width), and the model was trained on 8 x 8 without resizing")
    x = numpy.stack([x[0], x[1]]) / 255.0
    x[0, 0, 0] = numpy.nan
    numpy.save(tmp_path / "x.npy", x)
    assert predicted(moved, tmp_path / "x.npy")["row"].to_list() == [1]


def test_the_help_is_there_without_torch(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "--help"]) == 0
    assert "--ckpt_path RUN --input FILE" in capfd.readouterr().out


def test_a_runs_folder_stands_for_its_best_checkpoint(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = fit("--data", "Tiny", *QUICKLY)
    monkeypatch.chdir(tmp_path)
    assert main(["predict", "--trust", "tiny_package", "--ckpt_path", str(record["path"])]) == 0
    recorded = polars.read_parquet(record["path"] / "predictions.parquet").drop("target")
    assert polars.read_parquet("predictions.parquet").equals(recorded)


def test_a_run_on_a_streamed_table(fit: Fit, tmp_path: Path, predicted: Any) -> None:
    frame, folder = people(), tmp_path / "my"
    folder.mkdir()
    frame.write_parquet(folder / "a.parquet")
    words = ("--data.target", "label", "--data.drop", "id", "--data.cache", str(tmp_path / "cache"))
    record = fit("--data", "StreamedTable", "--data.path", str(folder), *words, *QUICKLY)
    moved = Moved(record, [folder, tmp_path / "cache"], tmp_path)
    frame[moved.rows].drop("label").write_csv(tmp_path / "new.csv")
    moved.compare(predicted(moved, tmp_path / "new.csv"))
