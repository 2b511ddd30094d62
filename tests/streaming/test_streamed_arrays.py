"""Arrays on disk: the same numbers as in memory, every modality by its number of dimensions, wrong ones refused."""

from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
import torch
from conftest import Fit

from datamodules import DataError, StreamedArrays
from datamodules.preprocessing.normalization import fit as statistics_of

ROWS = 400
SHAPES = {"table": (5,), "series": (2, 9), "image": (3, 4, 4)}
Y = numpy.arange(ROWS) % 3


def save(folder: Path, shape: tuple[int, ...], y: numpy.ndarray = Y, kind: str = "float32") -> dict[str, str]:
    draw = numpy.random.default_rng(0)
    x = draw.normal(size=(ROWS, *shape)) * 20 + 100 + 30 * Y.reshape(-1, *([1] * len(shape)))
    numpy.save(folder / "x.npy", x.astype(kind))
    numpy.save(folder / "y.npy", y)
    return {"path": str(folder / "x.npy"), "labels": str(folder / "y.npy")}


@pytest.mark.parametrize("modality", SHAPES)
@pytest.mark.parametrize("kind", ["float32", "uint8"])
def test_statistics_and_rows_are_those_of_the_array_in_memory(tmp_path: Path, modality: str, kind: str) -> None:
    paths = save(tmp_path, SHAPES[modality], kind=kind)
    data = StreamedArrays(**paths)
    data.setup("fit")
    assert (data.modality, data.task, data.input_shape) == (modality, "multiclass", SHAPES[modality])
    x = torch.from_numpy(numpy.load(paths["path"]))
    parts = {name: data.part(name) for name in ("train", "val", "test")}
    assert sorted(torch.cat([part["row"] for part in parts.values()]).tolist()) == list(range(ROWS))
    expected = statistics_of(x[parts["train"]["row"]], "standard")
    torch.testing.assert_close(data.statistics.center, expected.center, rtol=1e-6, atol=0)
    torch.testing.assert_close(data.statistics.scale, expected.scale, rtol=1e-6, atol=0)
    for part in parts.values():
        torch.testing.assert_close(part["x"], expected(x[part["row"]]), rtol=1e-4, atol=1e-5)
        assert torch.equal(part["y"], torch.from_numpy(Y)[part["row"]])


TARGETS: dict[str, tuple[numpy.ndarray, int]] = {
    "binary": (Y.astype(numpy.int8) // 2, 1),
    "multilabel": (numpy.stack([Y == 0, Y == 1], axis=1).astype(numpy.uint8), 2),
    "regression": (Y * 10.5 + 1000, 1),
}


@pytest.mark.parametrize("task", TARGETS)
def test_targets_tell_the_task_and_a_fit_learns(fit: Fit, tmp_path: Path, task: str) -> None:
    y, outputs = TARGETS[task]
    paths = save(tmp_path, SHAPES["series"], y)
    data = StreamedArrays(**paths)
    assert (data.task, data.num_outputs) == (task, outputs)
    words = ["--data.path", paths["path"], "--data.labels", paths["labels"], "--data.batch_size", "32"]
    record = fit("--data", "StreamedArrays", *words, "--model", "LitMLP", "--trainer.max_epochs", "12")
    name, least = {"binary": ("accuracy", 0.9), "multilabel": ("f1_macro", 0.9), "regression": ("r2", 0.5)}[task]
    assert record["metrics"][f"test/{name}"] > least


def test_val_and_test_rows_change_no_statistic(tmp_path: Path) -> None:
    paths = save(tmp_path, SHAPES["table"])
    data = StreamedArrays(**paths)
    data.setup("fit")
    x = numpy.load(paths["path"])
    for part in ("val", "test"):
        x[data.part(part)["row"].numpy()] = 1e6
    numpy.save(paths["path"], x)
    again = StreamedArrays(**paths)
    again.setup("fit")
    assert torch.equal(again.statistics.center, data.statistics.center)
    assert torch.equal(again.statistics.scale, data.statistics.scale)


WRONG: dict[str, tuple[Callable[[Path], dict[str, str]], str]] = {
    "rows": (lambda folder: save(folder, (5,), Y[:9]), "they are to be of the same rows"),
    "dimensions": (lambda folder: save(folder, ()), "rows are"),
    "labels": (lambda folder: save(folder, (5,), numpy.stack([Y, Y], axis=1)), "they are 0 and 1"),
    "negative": (lambda folder: save(folder, (5,), Y - 1), "class indices count from 0"),
    "one class": (lambda folder: save(folder, (5,), Y * 0), "class indices count from 0"),
    "NaN targets": (lambda folder: save(folder, (5,), numpy.where(Y == 1, numpy.nan, Y)), "NaN or infinite targets"),
    "column": (lambda folder: save(folder, (5,)) | {"group": "person"}, "arrays have no column person"),
}


@pytest.mark.parametrize("case", WRONG)
def test_arrays_that_cannot_be_used_are_refused(tmp_path: Path, case: str) -> None:
    make, message = WRONG[case]
    with pytest.raises(DataError, match=message):
        StreamedArrays(**make(tmp_path))


def test_missing_numbers_are_refused(tmp_path: Path) -> None:
    paths = save(tmp_path, (5,))
    x = numpy.load(paths["path"])
    x[:, 2] = numpy.where(numpy.arange(ROWS) % 7, x[:, 2], numpy.nan)
    numpy.save(paths["path"], x)
    with pytest.raises(DataError, match="NaN or infinite values in train rows"):
        StreamedArrays(**paths).setup("fit")
