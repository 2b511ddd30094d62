"""Folders of classes: the same files in training and in prediction, the rest in a note, splits refused."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image

from datamodules import DataError, ImageData, TextData
from datamodules.class_folders import walk
from datamodules.preprocessing.restore_inputs import restore_inputs

Write = Callable[[Path, int], object]


def write_text(path: Path, number: int) -> object:
    return path.write_text(f"some words {number} of many", encoding="utf-8")


def write_image(path: Path, number: int) -> object:
    pixels = numpy.random.default_rng(number).integers(0, 256, (4, 4), dtype=numpy.uint8)
    return Image.fromarray(pixels).save(path, format="PNG")


MODALITIES = pytest.mark.parametrize(
    ("data_class", "write", "ending"), [(TextData, write_text, ".txt"), (ImageData, write_image, ".png")]
)


def class_folders(root: Path, write: Write, ending: str) -> Path:
    """Writes 12 files for each of two classes, every second one with an upper-case ending, and some in a folder."""
    for index, name in enumerate(("a[1]*", "b")):
        folder = root / name
        (folder / "deeper").mkdir(parents=True)
        for number in range(12):
            case = ending.upper() if number % 2 else ending
            write(folder / ("deeper" if number > 8 else ".") / f"{number}{case}", 12 * index + number)
    return root


def files_of(data: TextData | ImageData, source: Path) -> tuple[list[str], list[str]]:
    """Returns the files that prediction takes, and its notes."""
    data.setup("fit")
    chunks = list(data.inputs.chunks(str(source)))
    assert not any(len(chunk.bad) for chunk in chunks)
    return [name for chunk in chunks for name in chunk.ids["file"]], [note for chunk in chunks for note in chunk.notes]


@MODALITIES
def test_fit_and_predict_take_the_same_files(
    tmp_path: Path, data_class: type[TextData | ImageData], write: Write, ending: str
) -> None:
    root = class_folders(tmp_path / "all", write, ending)
    plain = data_class(str(root))
    assert not any("not read" in note for note in plain.notes)
    (root / "b" / ".hidden").mkdir()
    (root / "b" / "_temporary").mkdir()
    for number, folder in enumerate(("b/.hidden", "b/_temporary", "b")):
        write(root / folder / (f"._x{ending}" if folder == "b" else f"x{ending}"), 50 + number)
    data = data_class(str(root))
    assert sum(data.part_rows().values()) == 24
    assert data.rows.x.equal(plain.rows.x)
    names, notes = files_of(data, root)
    assert len(names) == 24
    skipped = [note for note in data.notes if note.startswith(f"not read in {root}: 3 hidden or other")]
    assert len(skipped) == 1
    assert skipped[0] in notes


@MODALITIES
def test_linked_folders_are_read_once_and_never_in_a_circle(
    tmp_path: Path, data_class: type[TextData | ImageData], write: Write, ending: str
) -> None:
    root = class_folders(tmp_path / "all", write, ending)
    class_folders(tmp_path / "elsewhere", write, ending)
    for number, file in enumerate((tmp_path / "elsewhere" / "b").rglob("*.*")):
        write(file, 100 + number)
    (root / "b" / "more").symlink_to(tmp_path / "elsewhere" / "b")
    (root / "b" / "circle").symlink_to(root)
    (root / "b" / "deeper" / "self").symlink_to(".")
    data = data_class(str(root))
    assert sum(data.part_rows().values()) == 36
    assert len(files_of(data, root)[0]) == 36
    assert any("circle" in note for note in data.notes)


@MODALITIES
def test_a_name_in_another_encoding_is_read_and_one_of_a_class_refused(
    tmp_path: Path, data_class: type[TextData | ImageData], write: Write, ending: str
) -> None:
    root = class_folders(tmp_path / "all", write, ending)
    for byte in (b"\xe8", b"\xe9"):
        write(Path(os.fsdecode(os.fsencode(root / "b" / "caf") + byte + ending.encode())), 60 + byte[0])
    data = data_class(str(root))
    assert sum(data.part_rows().values()) == 26
    names, _ = files_of(data, root)
    assert len(set(names)) == 26
    assert f"b/caf\\xe9{ending}" in names
    os.rename(root / "b", os.fsdecode(os.fsencode(root) + b"/\xe9"))
    with pytest.raises(DataError, match="a name that is not UTF-8; rename it"):
        data_class(str(root))


@MODALITIES
@pytest.mark.parametrize("names", [("train", "val", "test"), ("Train", "Validation"), ("training", "testing", "other")])
def test_folders_of_splits_are_no_classes(
    tmp_path: Path, data_class: type[TextData | ImageData], write: Write, ending: str, names: tuple[str, ...]
) -> None:
    for name in names:
        class_folders(tmp_path / name, write, ending)
    with pytest.raises(DataError, match=r"--data\.path, --data\.val_path and --data\.test_path"):
        data_class(str(tmp_path))
    assert data_class(str(tmp_path / names[0]), test_path=str(tmp_path / names[1])).part_rows()["test"] == 24


@pytest.mark.parametrize(("highest", "message"), [(199, "become black: 16-bit"), (4095, "up to 4,0"), (65535, "")])
def test_scans_of_fewer_than_16_bits_are_named(tmp_path: Path, highest: int, message: str) -> None:
    random = numpy.random.default_rng(0)
    for row in range(24):
        folder = tmp_path / "scans" / "ab"[row % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(highest // 2, highest + 1, (8, 8), dtype=numpy.uint16)
        Image.fromarray(pixels).save(folder / f"{row}.png")
    if highest < 256:
        with pytest.raises(DataError, match=message):
            ImageData(str(tmp_path / "scans"))
        return
    data = ImageData(str(tmp_path / "scans"))
    _, notes = files_of(data, tmp_path / "scans")
    for some in (list(data.notes), notes):
        assert [note for note in some if "16-bit" in note] == [note for note in some if message and message in note]
        assert bool(message) == any("16-bit" in note for note in some)


def test_a_folder_that_two_links_reach_is_read_once(tmp_path: Path) -> None:
    last = tmp_path / "last"
    last.mkdir()
    (last / "1.txt").write_text("a")
    for level in range(12):  # each doubles the paths to the file
        above = tmp_path / f"level-{level}"
        above.mkdir()
        for name in ("left", "right"):
            (above / name).symlink_to(last)
        last = above
    assert len(list(walk(last, []))) == 1


@MODALITIES
def test_prediction_takes_the_files_in_the_order_of_fit(
    tmp_path: Path, data_class: type[TextData | ImageData], write: Write, ending: str
) -> None:
    root = class_folders(tmp_path / "all", write, ending)
    data = data_class(str(root))
    data.setup("fit")
    x = torch.cat([chunk.tensors["x"] for chunk in data.inputs.chunks(str(root))])
    part = data.part("train")
    assert torch.equal(x[part["row"]], part["x"])


@MODALITIES
def test_links_between_classes_are_followed_alike_by_fit_and_predict(
    tmp_path: Path, data_class: type[TextData | ImageData], write: Write, ending: str
) -> None:
    root = class_folders(tmp_path / "all", write, ending)
    other = class_folders(tmp_path / "elsewhere", write, ending)
    for number, file in enumerate((other / "b").rglob("*.*")):
        write(file, 200 + number)
    (root / "circle").symlink_to(root)
    for name in ("a[1]*", "b"):
        (root / name / "shared").symlink_to(other / "b")
    data = data_class(str(root))
    assert len(data.rows.y) == len(files_of(data, root)[0]) == 36
    assert data.class_names == ("a[1]*", "b")
    assert any("2 hidden or other" in note and "circle" in note for note in data.notes)
    (root / "c").symlink_to(root / "b")
    with pytest.raises(DataError, match=r"the class folder .*c has no .*file of its own"):
        data_class(str(root))


@MODALITIES
def test_files_beside_the_folders_of_classes_are_left_out_by_fit_and_predict_alone(
    tmp_path: Path, data_class: type[TextData | ImageData], write: Write, ending: str
) -> None:
    root = class_folders(tmp_path / "all", write, ending)
    write(root / f"about{ending}", 99)
    data = data_class(str(root))
    names, notes = files_of(data, root)
    assert len(data.rows.y) == len(names) == 24
    for some in (list(data.notes), notes):
        assert any(f"not read in {root}: 1 hidden or other" in note and f"about{ending}" in note for note in some)
    (tmp_path / "new" / "deep").mkdir(parents=True)
    write(tmp_path / "new" / f"1{ending}", 1)
    write(tmp_path / "new" / "deep" / f"2{ending}", 2)
    restored = restore_inputs(data.state_dict())
    assert [name for chunk in restored.chunks(tmp_path / "new") for name in chunk.ids["file"]] == [
        f"1{ending}",
        f"deep/2{ending}",
    ]
    assert sum(len(chunk.ids) for chunk in restored.chunks(root)) == 24
