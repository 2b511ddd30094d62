"""Wheel and sdist, installed away from the checkout: commands, configurations and types are inside."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import numpy
import pytest
from doc_pages import ELSEWHERE, FOLLOWED, PAGES, Block, bare, blocks, lacking
from paths import REPOSITORY
from shell_session import Shell
from sklearn.datasets import load_digits
from user_files import write_all

PACKAGES = ("datamodules", "evenhand", "experiments", "lit_models")


def python(*words: str, cwd: Path, path: Path | None = None) -> str:
    """Runs a Python process that imports from ``path`` and not from the checkout; returns its output."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def built(kind: str, source: Path, folder: Path) -> Path:
    """A wheel or an sdist of a source tree, made by the build backend as pip would."""
    code = f"from setuptools import build_meta; build_meta.build_{kind}({str(folder)!r})"
    folder.mkdir()
    python("-c", code, cwd=source)
    (made,) = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    source = folder / "source"
    source.mkdir()
    for name in PACKAGES:
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    return built("wheel", source, folder / "wheel")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    python("-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel), cwd=target)
    return target


def test_it_holds_what_the_checkout_holds(wheel: Path) -> None:
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if not name.partition("/")[0].endswith(".dist-info")}
    kept = (".py", ".pyi", ".yaml", ".html", ".css", ".typed")
    files = [
        path
        for name in PACKAGES
        for path in (REPOSITORY / name).rglob("*")
        if path.suffix in kept or path.name == "py.typed"
    ]
    assert inside == {str(path.relative_to(REPOSITORY)) for path in files}
    assert any(name.endswith("licenses/LICENSE") for name in zipfile.ZipFile(wheel).namelist())


def test_commands_run_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    evenhand = ("-m", "experiments")
    assert python(*evenhand, "--version", cwd=tmp_path, path=installed).startswith("evenhand ")
    where = python("-c", "import experiments, sys; print(experiments.__path__[0])", cwd=tmp_path, path=installed)
    assert Path(where.strip()).is_relative_to(installed)
    write_all(tmp_path)
    short = ("--trainer.max_epochs", "1", "--figures", "false")
    own = ("--data", "TableData", "--data.path", "my.csv", "--data.target", "label")
    command = (str(installed / "bin/evenhand"), "fit", "--trust", "my_package")  # found here, as by python -m
    assert "no --model was typed" in python(*command, *own, *short, cwd=tmp_path, path=installed)
    files = ("-c", "experiments/configs/data/digits.yaml", "-c", "experiments/configs/defaults/mlp.yaml")
    python(*evenhand, "fit", *files, "--run", "one", *short, cwd=tmp_path, path=installed)
    assert "accuracy" in python(*evenhand, "compare", "runs/digits", cwd=tmp_path, path=installed)
    words = ("predict", "--ckpt_path", "runs/digits/one", "--input", "digits.npy", "--output", "out.csv")
    numpy.save(tmp_path / "digits", load_digits().images[:9])
    python(*evenhand, *words, cwd=tmp_path, path=installed)
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 10


def test_the_sdist_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(built("sdist", wheel.parents[1] / "source", tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.glob("evenhand-*")
    again = built("wheel", source, tmp_path / "wheel")
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())


@pytest.fixture(scope="module")
def newcomer(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of a virtual environment with the wheel, which finds other packages where the tests' own are."""
    folder = tmp_path_factory.mktemp("newcomer") / "venv"
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    install = ("--python", str(folder / "bin/python"), "install", "--quiet", "--no-deps", "--ignore-installed")
    python("-m", "pip", *install, str(wheel), cwd=folder)
    torchrun = folder / "bin/torchrun"
    torchrun.write_text(f'#!/bin/sh\nexec {folder}/bin/python -m torch.distributed.run "$@"\n')
    torchrun.chmod(0o755)
    return folder / "bin"


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("name", ["README", *FOLLOWED])
def test_a_newcomer_follows_a_page(name: str, newcomer: Path, tmp_path: Path) -> None:
    """Types every command of a page into a shell, in a folder without the checkout."""
    write_all(tmp_path)
    (page,) = (page for page in PAGES if page.stem == name)
    shown, before = "", Block("", "", "")
    with Shell(newcomer, tmp_path) as shell:
        where = shell.type("python -c 'import experiments; print(experiments.__path__[0])'")
        assert Path(where.strip()).is_relative_to(newcomer.parent)
        for block in blocks(page):
            if block.file:
                (tmp_path / block.file).write_text(block.text)
            elif block.language == "python":
                (tmp_path / "typed.py").write_text(block.text)
                shell.type("python typed.py")
            elif block.language in ("text", "json") and not before.elsewhere:
                shown += block.text
            for command in block.commands:
                if bare(command) not in ELSEWHERE:
                    shell.type(command)
            before = block
    never = lacking(shown, shell.printed)
    assert not never
    assert list(tmp_path.glob("runs/*/*/predictions.parquet"))
