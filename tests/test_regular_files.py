"""Only regular files are opened: a pipe would wait for ever, a device would fill the memory."""

import os
from pathlib import Path

import numpy
import pytest
from hostile_runs import refusal, train

from datamodules import DataError
from datamodules.regular_file import check_regular
from experiments.__main__ import main

NEVER = {"pipe": "is a pipe", "/dev/zero": "is a device", "/proc/self/mem": "is made up by the kernel"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    numpy.save(tmp_path / "y.npy", numpy.zeros(9))
    return tmp_path


@pytest.mark.parametrize("path", NEVER)
@pytest.mark.parametrize(
    "words",
    [
        "inspect --data TableData --data.target y --data.path",
        "inspect --data StreamedTable --data.target y --data.path",
        "inspect --data SeriesData --data.path",
        "inspect --data TextData --data.text t --data.target y --data.path",
        "inspect --data ImageData --data.path",
        "inspect --data StreamedArrays --data.labels y.npy --data.path",
        "test --ckpt_path",
        "predict --input t.csv --ckpt_path",
        "export --format safetensors --output out --ckpt_path",
        "sweep --paper",
        "sweep --search random --data Digits --model LitLinear --space",
    ],
)
def test_what_is_no_file(capfd: pytest.CaptureFixture[str], words: str, path: str) -> None:
    assert NEVER[path] in refusal(capfd, *words.split(), path)


@pytest.mark.parametrize("words", ["-c", "--data Digits --model", "--data Digits --model LitLinear --model.metrics"])
def test_as_a_configuration(capfd: pytest.CaptureFixture[str], words: str) -> None:
    for path, reason in (("./pipe", "is a pipe"), ("/proc/self/mem", "is made up by the kernel")):
        message = refusal(capfd, "fit", *words.split(), path)
        assert reason in message or (words != "-c" and "model" in message)


def test_as_an_image_of_a_folder(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    for name in ("a", "b"):
        (here / "images" / name).mkdir(parents=True)
        for index in range(6):
            Image.fromarray(numpy.full((4, 4), index * 9, numpy.uint8)).save(here / "images" / name / f"{index}.png")
    os.mkfifo(here / "images/b/pipe.png")
    assert "pipe" in refusal(capfd, "inspect", "--data", "ImageData", "--data.path", "images")


def test_in_a_run_and_as_new_rows(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = train(here)
    assert "is a pipe" in refusal(capfd, "predict", "--ckpt_path", str(run), "--input", "pipe")
    for name in ("test_rows.safetensors", "record.json"):
        (run / name).rename(run / "before")
        os.mkfifo(run / name)
        words = ("--format", "safetensors", "--output", f"out-{name}")
        assert main(["export", "--ckpt_path", str(run), *words]) == 0  # as a checkpoint that stands alone
        (run / name).unlink()
        (run / "before").rename(run / name)
    os.mkfifo(here / "pyproject.toml")
    assert "pyproject.toml" in refusal(capfd, "inspect", "--data", "Digits")


def test_regular_files_and_folders_pass(here: Path) -> None:
    (here / "file").touch()
    (here / "link").symlink_to("file")
    for path in ("file", "link", ".", "nowhere", "null\0character"):
        check_regular(path)
    (here / "loop").symlink_to("pipe")
    with pytest.raises(DataError, match="a pipe"):
        check_regular("loop")


def test_as_new_rows_of_a_model_of_arrays(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = "fit --data Digits --model LitLinear --trainer.max_epochs 1 --figures false --experiment e --run arrays"
    assert main(words.split()) == 0
    os.mkfifo("rows.npy")
    assert "is a pipe" in refusal(capfd, "predict", "--ckpt_path", "runs/e/arrays", "--input", "rows.npy")
