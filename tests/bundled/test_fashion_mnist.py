"""Fashion-MNIST: the original files and no others, packed or not, and what is published about them."""

import gzip
import hashlib
from pathlib import Path

import pytest
import torch
from conftest import Fit

from datamodules import DataError, FashionMNIST
from datamodules.bundled import fashion_mnist
from datamodules.imaging.idx import unpacked


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without the Debian package; the folder for files of one's own."""
    monkeypatch.setenv("EVENHAND_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fashion_mnist, "PACKAGED", tmp_path / "no package")
    folder = tmp_path / "cache" / "fashion-mnist"
    folder.mkdir(parents=True)
    return folder


def test_it_is_the_published_one(fashion: FashionMNIST) -> None:
    data = fashion
    data.setup("fit")
    assert (data.task, data.modality, data.input_shape, data.num_outputs) == ("multiclass", "image", (1, 28, 28), 10)
    assert data.class_names[9] == "ankle boot"
    assert data.rows.y[:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
    assert data.rows.y[60_000:60_005].tolist() == [9, 2, 1, 1, 6]
    assert torch.bincount(data.rows.y[:60_000]).tolist() == [6_000] * 10
    assert torch.bincount(data.rows.y[60_000:]).tolist() == [1_000] * 10
    train = data.rows.x[:60_000].double() / 255
    assert float(train.mean()) == pytest.approx(0.2860, abs=5e-5)
    assert float(train.std()) == pytest.approx(0.3530, abs=5e-5)
    assert data.split.test.tolist() == list(range(60_000, 70_000))
    assert len(data.split.train) + len(data.split.val) == 60_000


def test_pooled_it_is_split_like_any_images(fashion: FashionMNIST) -> None:
    pooled = FashionMNIST(pooled=True, folds=7, fold=2)
    assert len(pooled.split.test) == pytest.approx(10_000, abs=10)
    assert pooled.split.test.min() < 60_000
    with pytest.raises(DataError, match=r"--data\.pooled true"):
        FashionMNIST(folds=7)


def test_it_trains_from_the_command_line(fit: Fit, fashion: FashionMNIST) -> None:
    words = "--data FashionMNIST --model LitLinear --trainer.max_epochs 1 --data.batch_size 256 --seed_everything 0"
    assert fit(*words.split(), "--model.optimizer.lr", "0.003")["metrics"]["test/accuracy"] > 0.8


def test_without_the_files_it_says_what_to_do(refused, nowhere: Path) -> None:
    message = refused("--data", "FashionMNIST", "--model", "LitMLP")
    assert len(message.splitlines()) == 1
    for word in ("Debian package dataset-fashion-mnist", "t10k-images-idx3-ubyte.gz", str(nowhere)):
        assert word in message


def test_files_of_ones_own_are_read_packed_or_not(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = {name: bytes([0, 0, 8, 1, 0, 0, 0, 2, 3, 4]) for name in fashion_mnist.FILES}
    monkeypatch.setattr(fashion_mnist, "FILES", {k: hashlib.sha256(v).hexdigest() for k, v in content.items()})
    for name, plain in content.items():
        assert unpacked(gzip.compress(plain, 1), name) == plain
        (nowhere / name).write_bytes(plain)
        assert fashion_mnist._read(name, fashion_mnist.FILES[name]).tolist() == [3, 4]
        (nowhere / name).unlink()
        (nowhere / f"{name}.gz").write_bytes(gzip.compress(plain, 1))
        assert fashion_mnist._read(name, fashion_mnist.FILES[name]).tolist() == [3, 4]


@pytest.mark.parametrize(
    "content", [b"", b"something else", gzip.compress(b"something else", mtime=0), b"\x1f\x8bno gzip"]
)
def test_other_files_are_refused(refused, nowhere: Path, content: bytes) -> None:
    for name in fashion_mnist.FILES:
        (nowhere / f"{name}.gz").write_bytes(content)
    message = refused("--data", "FashionMNIST", "--model", "LitMLP")
    assert len(message.splitlines()) == 1
    assert "train-images-idx3-ubyte.gz is " in message
    assert "SHA-256 is another; delete it" in message or "broken gzip file" in message
