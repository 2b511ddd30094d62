"""A person's own images: where they come from, how they are split, what is learned of them, and how they train."""

from pathlib import Path

import numpy
import polars
import pytest
import torch
from conftest import Fit
from digit_images import CLASSES, digits, made, write_folder, write_idx, write_index, write_npz
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_data import QUICK, model_for, quiet_trainer

from datamodules import Augment, DataError, ImageData, PixelData
from datamodules.imaging import read_images
from datamodules.inspection.inspection import inspect
from datamodules.tables.targets import Target

X, Y = digits()


# Where they come from


@pytest.mark.parametrize("kind", ["folder", "csv", "parquet", "npz", "npy", "x.npy", "idx", "idx.gz", "floats"])
def test_every_source_gives_the_same_images(tmp_path: Path, kind: str) -> None:
    # A folder is in the order of its classes.
    order = numpy.argsort(Y, kind="stable") if kind == "folder" else numpy.arange(len(Y))
    target = {}
    match kind:
        case "folder":
            path = write_folder(tmp_path, X, Y)
        case "csv" | "parquet":
            path, target = write_index(tmp_path, X, kind, digit=Y.tolist()), {"target": "digit"}
        case "npz":
            path = write_npz(tmp_path / "a.npz", X, Y)
        case "npy":
            path = str(tmp_path / "my_images.npy")
            numpy.save(path, X)
            numpy.save(tmp_path / "my_labels.npy", Y)
        case "x.npy":
            path = str(tmp_path / "X_all.npy")
            numpy.save(path, X[:, :, :, None])
            numpy.save(tmp_path / "y_all.npy", Y)
        case "floats":
            path = str(tmp_path / "images.npy")
            numpy.save(path, (X / 255).astype(numpy.float32)[:, None])
            numpy.save(tmp_path / "labels.npy", Y)
        case _:
            path = write_idx(tmp_path, X, Y, packed=kind.endswith("gz"))
    data = made(path, **target)
    assert (data.task, data.modality, data.input_shape, data.num_outputs) == ("multiclass", "image", (1, 8, 8), CLASSES)
    assert data.class_names == ("0", "1", "2", "3")
    assert data.rows.x.dtype == torch.uint8
    assert numpy.array_equal(data.rows.x[:, 0].numpy(), X[order])
    assert data.rows.y.tolist() == Y[order].tolist()


def test_hidden_files_are_not_read_and_said_so(tmp_path: Path) -> None:
    path = write_folder(tmp_path, X, Y)
    for name in (".DS_Store", "0/Thumbs.db", "1/.hidden.png", "notes.txt"):
        (tmp_path / name).write_text("no image")
    (tmp_path / "2" / ".cache").mkdir()
    (tmp_path / "2" / ".cache" / "a.png").write_text("no image")
    (tmp_path / "3" / "deeper").mkdir()
    (tmp_path / "3" / "0003.png").rename(tmp_path / "3" / "deeper" / "0003.png")
    data = made(path)
    assert len(data.rows.y) == len(Y)
    assert data.notes[0].startswith(f"not read in {tmp_path}: 5 ")


def test_colours_of_a_later_class_are_kept(tmp_path: Path) -> None:
    """Of 150 grey images in one class before those of another in colour."""
    draw = numpy.random.default_rng(0)
    for name, rows, shape in (("a", 150, (8, 8)), ("b", 10, (8, 8, 3))):
        (tmp_path / name).mkdir()
        for row in range(rows):
            Image.fromarray(draw.integers(0, 256, shape).astype(numpy.uint8)).save(tmp_path / name / f"{row}.png")
    assert made(str(tmp_path)).input_shape == (3, 8, 8)


@pytest.mark.parametrize("ending", ["gif", "TIFF", "webp"])
def test_files_of_several_frames_are_noted(tmp_path: Path, ending: str) -> None:
    folder = Path(write_folder(tmp_path, X, Y))
    assert not any("frames" in note for note in made(str(folder)).notes)
    frames = [Image.fromarray(X[0] + value) for value in (0, 7, 20)]
    name = folder / "0" / f"moving.{ending}"
    frames[0].save(name, save_all=True, append_images=frames[1:])
    (note,) = [note for note in made(str(folder)).notes if "frames" in note]
    assert note == (f"{name} has 3 frames or pages, and the first alone is read; save each as a file if they matter")


@pytest.mark.parametrize(("images", "labels"), [("IMAGES.NPY", "LABELS.NPY"), ("X_all.NPY", "Y_all.NPY")])
def test_labels_are_found_in_upper_case(tmp_path: Path, images: str, labels: str) -> None:
    for name, array in ((images, X), (labels, Y)):
        with open(tmp_path / name, "wb") as file:
            numpy.save(file, array)
    assert made(str(tmp_path / images)).rows.y.tolist() == Y.tolist()


def test_several_targets_and_numbers(tmp_path: Path) -> None:
    columns = {"even": (Y % 2 == 0).astype(int), "big": (Y > 1).astype(int), "ink": X.mean(axis=(1, 2))}
    path = write_index(tmp_path, X, **columns)
    labels = made(path, target=["even", "big"])
    assert (labels.task, labels.num_outputs, labels.class_names) == ("multilabel", 2, ("even", "big"))
    ink = made(path, target="ink")
    assert (ink.task, ink.num_outputs, ink.part("test")["y"].shape[1]) == ("regression", 1, 1)
    assert made(path, target="even").task == "binary"
    numpy.savez(tmp_path / "a.npz", x=X, y=numpy.stack([columns["even"], columns["big"]], axis=1))
    assert made(str(tmp_path / "a.npz")).task == "multilabel"


def test_truth_values_are_black_and_white_and_texts_are_classes(tmp_path: Path) -> None:
    names = numpy.array(["zero", "one", "two", "three"])[Y]
    data = made(write_npz(tmp_path / "a.npz", X > 100, names))
    assert data.class_names == ("one", "three", "two", "zero")
    assert numpy.array_equal(data.rows.x[:, 0].numpy(), (X > 100) * 255)


def test_whole_numbers_in_an_array_are_classes_however_many(tmp_path: Path) -> None:
    y = numpy.arange(len(Y)) % 25
    data = made(write_npz(tmp_path / "a.npz", X, y))
    assert (data.task, data.num_outputs) == ("multiclass", 25)


def test_threads_write_every_row_where_it_belongs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_images, "BLOCK", 3)
    path = write_index(tmp_path, X, digit=Y.tolist())
    assert numpy.array_equal(ImageData(path, target="digit").rows.x[:, 0].numpy(), X)


def test_frames_may_name_images_elsewhere(tmp_path: Path) -> None:
    index = Path(write_index(tmp_path / "a", X, digit=Y.tolist()))
    frame = polars.read_csv(index).with_columns(path=str(tmp_path / "a") + "/" + polars.col("path"))
    frame.rename({"path": "file"}).write_parquet(tmp_path / "b.parquet")
    data = ImageData(str(tmp_path / "b.parquet"), target="digit", image_column="file")
    assert numpy.array_equal(data.rows.x[:, 0].numpy(), X)


# Splits


def test_by_group_time_and_column(tmp_path: Path) -> None:
    person = [f"p{row % 23}" for row in range(len(Y))]
    day = [f"2024-01-{1 + row % 28:02}" for row in range(len(Y))]
    part = ["test" if row % 5 == 0 else "val" if row % 5 == 1 else "train" for row in range(len(Y))]
    path = write_index(tmp_path, X, digit=Y.tolist(), person=person, day=day, part=part)
    split = made(path, target="digit", group="person").split
    of = [{person[row] for row in rows.tolist()} for rows in split]
    assert not of[0] & of[1] | of[0] & of[2] | of[1] & of[2]
    split = made(path, target="digit", time="day").split
    assert max(day[row] for row in split.train) < min(day[row] for row in split.val)
    split = made(path, target="digit", split_column="part").split
    assert {part[row] for row in split.test.tolist()} == {"test"}
    assert len(split.val) == part.count("val")
    folds = [made(path, target="digit", folds=4, fold=fold).split.test for fold in range(4)]
    assert torch.cat(folds).sort().values.tolist() == list(range(len(Y)))


@pytest.mark.parametrize("kind", ["folder", "index", "idx"])
@pytest.mark.parametrize("with_val", [False, True])
def test_parts_of_their_own(tmp_path: Path, kind: str, with_val: bool) -> None:
    def write(name: str, rows: slice) -> str:
        match kind:
            case "folder":
                return write_folder(tmp_path / name, X[rows], Y[rows])
            case "index":
                return write_index(tmp_path / name, X[rows], digit=Y[rows].tolist())
        return write_idx(tmp_path / name, X[rows], Y[rows], name)

    paths = [write(name, rows) for name, rows in (("a", slice(120)), ("b", slice(120, 160)), ("c", slice(160, 200)))]
    given = {"val_path": paths[1]} if with_val else {}
    data = made(paths[0], test_path=paths[2], **given, **({"target": "digit"} if kind == "index" else {}))
    test = data.rows.x[data.split.test][:, 0].numpy()
    order = numpy.argsort(Y[160:], kind="stable") if kind == "folder" else slice(None)
    assert numpy.array_equal(test, X[160:][order])
    assert len(data.split.train) == (120 if with_val else 99)
    if with_val:
        assert len(data.split.val) == 40


def test_copies_are_kept_in_one_part(tmp_path: Path) -> None:
    data = made(write_npz(tmp_path / "a.npz", numpy.concatenate([X, X]), numpy.concatenate([Y, Y])))
    assert "exact copies of an earlier row: 200 of 400 rows, kept in one part" in data.notes
    for rows in data.split:
        assert set((rows % 200).tolist()) == set(rows[rows < 200].tolist())


# What is learned


@pytest.mark.parametrize("method", ["standard", "minmax", "robust", "quantile", "none"])
def test_statistics_are_those_of_the_train_pixels(tmp_path: Path, method: str) -> None:
    x = numpy.stack([X, 255 - X // 2, X // 3], axis=3)
    data = made(write_npz(tmp_path / "a.npz", x, Y), normalize=method)
    assert data.input_shape == (3, 8, 8)
    columns = x[data.split.train.numpy()].reshape(-1, 3).astype(numpy.float64)
    if method == "quantile":
        expected = numpy.quantile(columns, numpy.linspace(0, 1, 1000), axis=0).T
        assert data.statistics.values.numpy() == pytest.approx(expected, abs=1e-9)
        return
    quarters = numpy.quantile(columns, [0.25, 0.5, 0.75], axis=0)
    center, scale = {
        "standard": (columns.mean(axis=0), columns.std(axis=0)),
        "minmax": (columns.min(axis=0), columns.max(axis=0) - columns.min(axis=0)),
        "robust": (quarters[1], quarters[2] - quarters[0]),
        "none": (numpy.zeros(3), numpy.ones(3)),
    }[method]
    assert data.statistics.center.numpy() == pytest.approx(center, abs=1e-9)
    assert data.statistics.scale.numpy() == pytest.approx(scale, abs=1e-9)
    batch = next(iter(data.val_dataloader()))
    assert batch["x"].dtype == torch.float32
    expected = (x[batch["row"].numpy()].transpose(0, 3, 1, 2) - center[:, None, None]) / scale[:, None, None]
    assert batch["x"].numpy() == pytest.approx(expected, abs=1e-5)
    assert torch.equal(batch["x"], data.part("val")["x"])


def test_a_constant_channel_becomes_zero(tmp_path: Path) -> None:
    data = made(write_npz(tmp_path / "a.npz", numpy.stack([X, X * 0 + 77, X], axis=3), Y))
    assert torch.equal(data.part("train")["x"][:, 1], torch.zeros(len(data.split.train), 8, 8))


@settings(QUICK, max_examples=30)
@given(st.data())
def test_other_rows_leave_no_bit_of_the_statistics_changed(drawn: st.DataObject) -> None:
    method = drawn.draw(st.sampled_from(["standard", "minmax", "robust", "quantile"]))
    images = torch.from_numpy(X[:60, None].copy())
    target = Target(torch.from_numpy(Y[:60].copy()), "multiclass", CLASSES, ("0", "1", "2", "3"))
    test = torch.arange(45, 60)
    given_parts = {"val": torch.arange(35, 45), "test": test}

    def learned(pixels: torch.Tensor) -> list[torch.Tensor]:
        data = PixelData(normalize=method, duplicates="ignore")
        data.take(pixels, target, **given_parts)
        data.setup("fit")
        return list(data.statistics.buffers())

    changed = images.clone()
    for row in drawn.draw(st.lists(st.integers(35, 59), min_size=1, max_size=8)):
        changed[row] = drawn.draw(st.integers(0, 255))
    assert all(map(torch.equal, learned(images), learned(changed)))
    changed[0] = 255 - changed[0]
    assert not all(map(torch.equal, learned(images), learned(changed)))


def test_the_images_stay_bytes_and_are_not_copied(tmp_path: Path) -> None:
    data = made(write_npz(tmp_path / "a.npz", X, Y))
    loader = data.train_dataloader()
    assert set(loader.tensors) == {"y", "row"}
    assert loader.transform.images.data_ptr() == data.rows.x.data_ptr()
    assert data.rows.x.element_size() == 1


def test_a_look_at_images_is_one_at_their_means(tmp_path: Path) -> None:
    x = numpy.stack([X, X // 2, X // 3], axis=3)
    seen = inspect(made(write_npz(tmp_path / "a.npz", x, Y)))
    assert [column.name for column in seen.columns] == [f"mean of channel {index}" for index in range(3)]
    assert made(str(tmp_path / "a.npz")).features().to_numpy() == pytest.approx(x.mean(axis=(1, 2)))


def test_it_resumes_with_its_split_and_statistics(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz", X, Y)
    data = ImageData(path, augment=Augment(flip=0.5, crop=1))
    trainer = quiet_trainer(max_epochs=1)
    trainer.fit(model_for(data), data)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    saved = torch.load(tmp_path / "a.ckpt", weights_only=True)
    assert saved["datamodule_hyper_parameters"]["augment"] == {"flip": 0.5, "crop": 1, "jitter": 0.0, "erase": 0.0}
    again = ImageData(path, split_seed=5)
    again.load_state_dict(saved["ImageData"])
    again.setup("test")
    assert torch.equal(again.part("test")["x"], data.part("test")["x"])
    with pytest.raises(DataError, match="trained on other data"):
        ImageData(write_npz(tmp_path / "b.npz", X // 2, Y)).load_state_dict(saved["ImageData"])


# Training


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_folder(tmp_path_factory.mktemp("digits"), X, Y)


@pytest.mark.parametrize(
    "model",
    [
        "LitLinear",
        pytest.param("LitMLP", marks=pytest.mark.slow),  # its stem is that of the linear model
        "LitCNN --model.channels [16,32]",
        "LitRNN --model.hidden 32",
        "LitTransformer --model.width 32 --model.num_layers 1",
    ],
)
def test_every_architecture_trains_on_a_folder(fit: Fit, folder: str, model: str) -> None:
    words = f"--data ImageData --data.path {folder} --data.batch_size 20 --data.augment.crop 1 --model {model}"
    words += " --model.optimizer.lr 0.02 --trainer.max_epochs 10 --seed_everything 0"
    record = fit(*words.split())
    assert record["metrics"]["test/accuracy"] > 0.75
    assert record["rows"] == {"train": 140, "val": 30, "test": 30}


def test_regression_on_images_is_in_its_own_units(fit: Fit, tmp_path: Path) -> None:
    path = write_index(tmp_path / "files", X, ink=(X.mean(axis=(1, 2)) * 10).tolist())
    words = f"--data ImageData --data.path {path} --data.target ink --model LitMLP --trainer.max_epochs 20"
    metrics = fit(*words.split(), "--model.optimizer.lr", "0.01", "--seed_everything", "0")["metrics"]
    assert metrics["test/r2"] > 0.5
    assert metrics["test/rmse"] > 5
