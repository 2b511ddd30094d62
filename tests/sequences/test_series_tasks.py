"""Task of series: the header of a .ts file, whole numbers of any type, one-hot targets, and notes on doubt."""

from pathlib import Path

import numpy
import pytest

from datamodules import ImageData, SeriesData
from experiments.__main__ import main


def arrays(path: Path, y: numpy.ndarray, shape: tuple[int, ...] = (2, 6)) -> str:
    x = numpy.random.default_rng(0).random((len(y), *shape)).astype(numpy.float32)
    numpy.savez(path, x=x, y=y)
    return str(path)


@pytest.mark.parametrize("classes", [2, 21, 30])
def test_class_labels_in_a_header_are_classes_however_many(tmp_path: Path, classes: int) -> None:
    lines = [f"{row}.5,{row * row % 97},3:{row % classes + 1}" for row in range(classes * 4)]
    labels = " ".join(str(label + 1) for label in range(classes))
    (tmp_path / "a.ts").write_text("\n".join([f"@classLabel true {labels}", "@data", *lines]))
    data = SeriesData(str(tmp_path / "a.ts"))
    assert data.task == ("binary" if classes == 2 else "multiclass")
    assert data.class_names == tuple(str(label + 1) for label in range(classes))


def test_a_header_of_values_is_in_no_doubt(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lines = [f"{row}.5,{row * row % 97}:{row % 24}" for row in range(240)]
    words = ("inspect", "--data", "SeriesData", "--data.path")
    for number, header in enumerate(("@targetLabel true", "@classLabel true")):
        path = tmp_path / f"{number}.ts"
        path.write_text("\n".join([header, "@data", *lines]))
        assert main([*words, str(path)]) == 0
        assert "--data.task" not in capfd.readouterr().out
    assert main([*words, arrays(tmp_path / "a.npz", numpy.arange(240) % 24)]) == 0
    assert "--data.task multiclass makes them classes" in capfd.readouterr().out


@pytest.mark.parametrize("dtype", [numpy.float16, numpy.float32, numpy.float64, numpy.int8, numpy.uint16])
@pytest.mark.parametrize("classes", [2, 5, 20])
def test_whole_numbers_of_any_type_are_classes(tmp_path: Path, dtype: type, classes: int) -> None:
    y = numpy.arange(classes * 4).astype(dtype) % classes
    data = SeriesData(arrays(tmp_path / "a.npz", y))
    assert data.task == ("binary" if classes == 2 else "multiclass")
    assert data.class_names == tuple(map(str, range(classes)))
    images = ImageData(arrays(tmp_path / "b.npz", y, (4, 4)))
    assert (images.task, images.class_names) == (data.task, data.class_names)


def test_numbers_that_are_not_whole_or_too_large_for_classes_stay_values(tmp_path: Path) -> None:
    for number, y in enumerate((numpy.arange(40) % 4 + 0.5, (numpy.arange(40) % 4) * 1e20)):
        assert SeriesData(arrays(tmp_path / f"{number}.npz", y)).task == "regression"


@pytest.mark.parametrize("data_class", [SeriesData, ImageData])
@pytest.mark.parametrize("dtype", [numpy.float32, numpy.int64])
@pytest.mark.parametrize("classes", [2, 5])
def test_one_hot_targets_are_one_class_a_row(
    tmp_path: Path, data_class: type[SeriesData | ImageData], dtype: type, classes: int
) -> None:
    label = numpy.random.default_rng(1).permutation(numpy.arange(40) % classes)
    path = arrays(tmp_path / "a.npz", numpy.eye(classes, dtype=dtype)[label], (4, 4))
    data = data_class(path)
    assert data.task == ("binary" if classes == 2 else "multiclass")
    assert data.rows.y.tolist() == label.tolist()
    assert any("--data.task multilabel makes them labels" in note for note in data.notes)
    typed = data_class(path, task="multilabel")
    assert (typed.task, typed.num_outputs) == ("multilabel", classes)
    assert not any("--data.task" in note for note in typed.notes)


def test_rows_without_or_with_two_labels_are_multilabel(tmp_path: Path) -> None:
    for number, row in enumerate(([0, 0, 0], [1, 1, 0])):
        y = numpy.eye(3, dtype=int)[numpy.arange(60) % 3]
        y[::7] = row
        assert SeriesData(arrays(tmp_path / f"{number}.npz", y)).task == "multilabel"


def test_a_note_asks_where_many_whole_numbers_may_be_classes(tmp_path: Path) -> None:
    path = arrays(tmp_path / "a.npz", numpy.arange(240) % 24)
    data = SeriesData(path)
    assert data.task == "regression"
    assert any("24 different whole numbers" in note and "--data.task multiclass" in note for note in data.notes)
    for task in ("regression", "multiclass"):
        assert not any("--data.task" in note for note in SeriesData(path, task=task).notes)
    assert not any("--data.task" in note for note in SeriesData(arrays(tmp_path / "b.npz", numpy.arange(240))).notes)
