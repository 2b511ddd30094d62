"""Images that are missing, cut off, enormous or no images at all: each is refused in one sentence."""

import struct
import zlib
from pathlib import Path

import numpy
import pytest
import torch
from digit_images import digits, idx, made, write_folder, write_idx, write_index, write_npz
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_data import QUICK

from datamodules import DataError, ImageData

X, Y = digits()


# What is wrong with them


def test_refusals_name_the_setting(refused, tmp_path: Path) -> None:
    arrays = write_npz(tmp_path / "files" / "a.npz", X, Y)
    index = write_index(tmp_path / "index", X, digit=Y.tolist())
    broken = tmp_path / "broken"
    write_folder(broken, X, Y)
    (broken / "1" / "noise.png").write_bytes(b"\x00\x01 no image")
    empty = tmp_path / "empty"
    empty.mkdir()
    cases = {
        f"--data.path {tmp_path}/nothing.csv --data.target y": "there is no ",
        f"--data.path {empty}": "has no folders, and is to have one for each class",
        f"--data.path {arrays} --data.target y": "leave it out",
        f"--data.path {index}": "--data.target is missing",
        f"--data.path {index} --data.target digt": "there are digit",
        f"--data.path {index} --data.target digit --data.image_column pth": "there are path",
        f"--data.path {index} --data.target digit --data.image_column digit": "serve nothing else",
        f"--data.path {index} --data.target path --data.image_column digit": "to have the path of an image in each row",
        f"--data.path {arrays} --data.val_path {arrays}": "--data.test_path",
        f"--data.path {arrays} --data.size [0,8]": "--data.size is height and width",
        f"--data.path {arrays} --data.augment.crop -1": "crop is at least 0",
        f"--data.path {broken}": "noise.png is no image",
    }
    for words, sentence in cases.items():
        message = refused("--data", "ImageData", *words.split(), "--model", "LitLinear")
        assert len(message.splitlines()) == 1, message
        assert sentence in message


def test_a_class_that_no_train_row_has_is_refused(tmp_path: Path) -> None:
    train = write_folder(tmp_path / "a", X[Y < 3], Y[Y < 3])
    test = write_folder(tmp_path / "b", X, Y)
    with pytest.raises(DataError, match="no row of class 3"):
        ImageData(train, test_path=test)
    with pytest.raises(DataError, match="lacks the column path"):
        ImageData(train, test_path=write_npz(tmp_path / "a.npz", X, Y))


def test_files_that_are_missing_cut_off_or_enormous_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_index(tmp_path, X, digit=Y.tolist())
    image = tmp_path / "pictures" / "150.png"
    whole = image.read_bytes()
    image.write_bytes(whole[:-30])
    with pytest.raises(DataError, match=r"150\.png cannot be decoded: .*; replace or remove it"):
        ImageData(path, target="digit")
    image.unlink()
    with pytest.raises(DataError, match=r"150\.png is not there"):
        ImageData(path, target="digit")
    for side in (12_000, 100_000):  # above the limit pillow warns, above twice the limit it refuses
        header = struct.pack(">II", side, side) + bytes([8, 0, 0, 0, 0])
        chunk = b"IHDR" + header
        image.write_bytes(whole[:8] + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + whole[33:])
        with pytest.raises(DataError, match=r"150\.png says that it has more than 89,478,485 pixels"):
            ImageData(path, target="digit")


def test_images_of_several_sizes_need_a_size(tmp_path: Path) -> None:
    path = write_index(tmp_path, X, digit=Y.tolist())
    Image.fromarray(X[0, :5]).save(tmp_path / "pictures" / "77.png")
    with pytest.raises(DataError, match=r"77\.png is 5 x 8 .* --data\.size \[8,8\]"):
        ImageData(path, target="digit")
    assert made(path, target="digit", size=(6, 7)).input_shape == (1, 6, 7)


# Fuzzed files


def read_whatever(path: str, **kwargs) -> None:
    """Either it is read, or it is refused in a sentence; every other exception is a failure."""
    message = ""
    try:
        assert ImageData(path, duplicates="ignore", **kwargs).rows.x.dtype == torch.uint8
    except DataError as error:
        message = str(error)
    assert "\n" not in message


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(write_index(tmp_path_factory.mktemp("index"), X[:40], digit=Y[:40].tolist()))


@settings(QUICK, max_examples=80)
@given(content=st.binary(max_size=300), cut=st.integers(0, 200), place=st.integers(0, 200))
def test_broken_image_files(index: Path, content: bytes, cut: int, place: int) -> None:
    victim = index.parent / "pictures" / "7.png"
    whole = (index.parent / "pictures" / "8.png").read_bytes()
    for broken in (content, whole[:cut], whole[:place] + content[:9] + whole[place + len(content[:9]) :]):
        victim.write_bytes(broken)
        read_whatever(str(index), target="digit", size=(8, 8))


@pytest.mark.parametrize("ending", ["jpg", "gif", "bmp", "tif", "webp", "ppm", "jp2"])
def test_broken_files_of_every_format(tmp_path: Path, ending: str) -> None:
    path = write_index(tmp_path, X[:40], digit=Y[:40].tolist())
    Image.fromarray(X[0]).convert("RGB").save(tmp_path / f"a.{ending}")
    whole = (tmp_path / f"a.{ending}").read_bytes()
    random = numpy.random.default_rng(0)
    for _ in range(12):
        broken = bytearray(whole[: random.integers(1, len(whole) + 1)])
        for _ in range(4):
            broken[random.integers(len(broken))] = random.integers(256)
        (tmp_path / "pictures" / "7.png").write_bytes(bytes(broken))
        read_whatever(path, target="digit", size=(8, 8))


@settings(QUICK, max_examples=150)
@given(st.data())
def test_broken_arrays(tmp_path_factory: pytest.TempPathFactory, drawn: st.DataObject) -> None:
    root = tmp_path_factory.mktemp("arrays")
    kind = drawn.draw(st.sampled_from(["idx", "gz", "npy", "npz"]))
    if kind == "npz":
        files = [Path(write_npz(root / "a.npz", X[:40], Y[:40]))]
    elif kind == "npy":
        numpy.save(root / "images.npy", X[:40])
        numpy.save(root / "labels.npy", Y[:40])
        files = [root / "images.npy", root / "labels.npy"]
    else:
        write_idx(root, X[:40], Y[:40], packed=kind == "gz")
        files = sorted(root.iterdir())
    victim = drawn.draw(st.sampled_from(files))
    whole = victim.read_bytes()
    place = drawn.draw(st.integers(0, min(150, len(whole) - 1)))
    noise = drawn.draw(st.binary(min_size=1, max_size=8))
    changed = whole[:place] + noise + whole[place + len(noise) :]
    victim.write_bytes(changed[: drawn.draw(st.sampled_from([len(changed), place, place + 1, len(changed) - 1]))])
    read_whatever(str(files[0]))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "neither .npy nor IDX"),
        (b"\0\0\x08\x03\0\0", "ends inside its IDX header"),
        (idx(X)[:-1], "12,799 bytes behind its IDX header, which says 12,800"),
        (idx(X) + b"\0", "12,801 bytes"),
        (b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"\0", "IDX header"),
        (b"\x1f\x8b\x08 no gzip", "broken gzip file"),
        (idx(X[0]), r"shape \(8, 8\)"),
        (idx(X[:0]), r"shape \(0, 1, 8, 8\)"),
    ],
)
def test_ragged_idx_files_are_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = Path(write_idx(tmp_path, X, Y))
    path.write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        ImageData(str(path))


def test_wrong_labels_are_refused(tmp_path: Path) -> None:
    def refusal(x, y) -> str:
        numpy.savez(tmp_path / "a.npz", x=x, y=y)
        with pytest.raises(DataError) as refused:
            ImageData(str(tmp_path / "a.npz"))
        return str(refused.value)

    assert "200 images and labels of shape (199,)" in refusal(X, Y[1:])
    assert "allow_pickle=False" in refusal(X, numpy.array([{}] * len(Y), dtype=object))
    assert "whole numbers 0 to 255" in refusal(X.astype(int) * 2, Y)
    assert "whole numbers 0 to 255" in refusal(X.astype(float), Y)
    assert "whole numbers 0 to 255" in refusal(numpy.full(X.shape, numpy.nan), Y)
    assert "shape (200, 64)" in refusal(X.reshape(-1, 64), Y)
    assert "two classes" in refusal(X, Y * 0)
    assert "target label is missing in 1 of 200 rows" in refusal(X, numpy.where(numpy.arange(200) == 7, numpy.nan, Y))
    assert "1 infinite values" in refusal(X, numpy.where(numpy.arange(200) == 7, numpy.inf, Y / 3))
    numpy.savez(tmp_path / "b.npz", x=X)
    with pytest.raises(DataError, match="is to hold one array y or labels"):
        ImageData(str(tmp_path / "b.npz"))
    numpy.save(tmp_path / "lonely.npy", X)
    with pytest.raises(DataError, match=r"needs its labels beside it, the images called images\.npy"):
        ImageData(str(tmp_path / "lonely.npy"))
