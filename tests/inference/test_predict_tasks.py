"""Every modality and every task: what is predicted from raw files is what the run predicted of its own test rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
from conftest import Fit
from digit_images import digits, write_index
from moved_runs import QUICKLY, Moved
from opinion_texts import opinions
from wave_series import waves

from experiments.__main__ import main

TARGETS: dict[str, Callable[[numpy.ndarray], dict[str, numpy.ndarray]]] = {
    "binary": lambda y: {"a": y % 2},
    "multiclass": lambda y: {"a": numpy.array(["x", "y", "z"])[y % 3]},
    "multilabel": lambda y: {"a": y % 2, "b": (y % 3 > 0).astype(int)},
    "regression": lambda y: {"a": y * 3.5 + 100, "b": y / 7.0},
}


def check(moved: Moved, source: Path, task: str, tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"
    assert main(["predict", "--ckpt_path", str(moved.path), "--input", str(source), "--output", str(output)]) == 0
    got, want = polars.read_parquet(output), moved.recorded
    assert len(got) == len(want)
    if task == "binary":
        pairs = [("prediction", "probability_1")]
    elif task == "multiclass":
        pairs = [(f"prediction_{name}", f"probability_{name}") for name in "xyz"]
    elif task == "multilabel":
        pairs = [(f"prediction_{name}", f"probability_{name}") for name in "ab"]
    else:
        pairs = [(f"prediction_{number}", f"prediction_{name}") for number, name in enumerate("ab")]
    for ours, theirs in pairs:
        assert numpy.abs(want[ours].to_numpy() - got[theirs].to_numpy()).max() < 1e-6 * want[ours].abs().max()


def words(task: str, kind: str, path: Path, **settings: Any) -> list[str]:
    names = '["a","b"]' if task in ("multilabel", "regression") else "a"
    options = ["--data", kind, "--data.path", str(path), "--data.target", names, "--data.task", task]
    return [*options, *(word for name, value in settings.items() for word in (f"--data.{name}", str(value))), *QUICKLY]


def some(*quick: str) -> Any:
    """Parametrizes a test by the task; the others are slow. Of tables, all tasks are in ``test_predict_file.py``."""
    marks = {task: () if task in quick else pytest.mark.slow for task in TARGETS}
    return pytest.mark.parametrize("task", [pytest.param(task, marks=marks[task]) for task in TARGETS])


@some("binary", "multiclass")
def test_texts(task: str, fit: Fit, tmp_path: Path) -> None:
    frame, path = opinions(60), tmp_path / "my.csv"
    frame.select("text", **TARGETS[task](numpy.arange(60))).write_csv(path)
    moved = Moved(fit(*words(task, "TextData", path, text="text")), [path], tmp_path)
    frame[moved.rows].select("text").write_csv(tmp_path / "new.csv")
    check(moved, tmp_path / "new.csv", task, tmp_path)


@some("multiclass", "regression")
def test_images(task: str, fit: Fit, tmp_path: Path) -> None:
    x, y = digits(80)
    index = Path(write_index(tmp_path, x, **TARGETS[task](y + numpy.arange(80))))
    rows = polars.read_csv(index)
    moved = Moved(fit(*words(task, "ImageData", index, size="[6,7]", channels=3)), [index], tmp_path)
    rows[moved.rows].select("path").write_csv(tmp_path / "new.csv")
    check(moved, tmp_path / "new.csv", task, tmp_path)


@some("multilabel", "regression")
def test_series(task: str, fit: Fit, tmp_path: Path) -> None:
    arrays, path = waves(), tmp_path / "my.npz"
    arrays["x"][3, 0, 4] = arrays["x"][5, 1] = numpy.nan
    numpy.savez(path, x=arrays["x"], lengths=arrays["lengths"], **TARGETS[task](arrays["y"] + numpy.arange(60)))
    moved = Moved(fit(*words(task, "SeriesData", path, normalize="robust")), [path], tmp_path)
    numpy.savez(tmp_path / "new.npz", x=arrays["x"][moved.rows], lengths=arrays["lengths"][moved.rows])
    check(moved, tmp_path / "new.npz", task, tmp_path)
