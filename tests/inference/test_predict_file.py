"""``evenhand predict``: raw rows in, predictions out, from a checkpoint that was moved away from everything else."""

import json
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
from conftest import Fit
from digit_images import CLASSES, digits, write_folder, write_index, write_npz
from moved_runs import QUICKLY, Moved, failing, predicting  # noqa: F401  # fixtures
from opinion_texts import opinions
from people_table import people
from wave_series import waves

from experiments.__main__ import main

TASKS = {
    "binary": (["label"], lambda frame: frame),
    "multiclass": (["label"], lambda frame: frame.with_columns(label=polars.col("income").cast(polars.Int64) % 3)),
    "multilabel": (["label", "b"], lambda frame: frame.with_columns(
        label=polars.col("income") > 3e4, b=polars.col("age").fill_null(20) > 50).cast(
        {"label": polars.Int8, "b": polars.Int8})),
    "regression": (["label"], lambda frame: frame.with_columns(label=polars.col("income") / 7 + 1)),
}  # fmt: skip


@pytest.mark.parametrize(
    ("ending", "task"),
    [
        pytest.param(ending, task, marks=() if (number + first) % 2 else pytest.mark.slow)
        for first, ending in enumerate(("csv", "parquet"))
        for number, task in enumerate(TASKS)
    ],
)
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
    assert "ignored: id" in predicted.message
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
    assert "lacks the column v" in fails("--ckpt_path", str(moved.path), "--input", str(tmp_path / "new.csv"))


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
