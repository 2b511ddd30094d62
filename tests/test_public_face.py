"""``import evenhand`` and ``python -m evenhand``: names, types, and folders of a project with the names of ours."""

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from paths import REPOSITORY

import datamodules
import evenhand
import evenhand.api
import lit_models
from experiments.export import load_export
from experiments.inference import load
from experiments.sweep.local_launcher import RUN

OURS = ("datamodules", "experiments", "lit_models")


def python(*words: str, folder: Path, first: str = "") -> "subprocess.CompletedProcess[str]":
    """Runs Python in a folder, where ``first`` is ahead of the product on its path."""
    path = os.pathsep.join(filter(None, [first, str(REPOSITORY)]))
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Returns the folder of a project with packages of our names: one of them without an ``__init__.py``."""
    for name in OURS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text("x = 1\n")
        if name != "datamodules":
            (tmp_path / name / "__init__.py").write_text(f"print('the project has imported its {name}')\n")
    return tmp_path


def test_it_has_the_names_of_the_packages_and_of_prediction() -> None:
    assert {*dir(evenhand)} == {*dir(datamodules), *dir(lit_models), "load", "load_export", *dir(evenhand.api)}
    assert {"fit", "compare", "explain", "Run"} <= {*dir(evenhand)}
    assert evenhand.LitMLP is lit_models.LitMLP
    assert evenhand.TableData is datamodules.TableData
    assert (evenhand.load, evenhand.load_export) == (load, load_export)
    with pytest.raises(AttributeError, match=r"evenhand has no 'LitMPL'; dir\(evenhand\) lists its names"):
        evenhand.LitMPL  # noqa: B018  # type: ignore[attr-defined]
    with pytest.raises(ImportError):
        from evenhand import nothing  # type: ignore[attr-defined]  # noqa: F401
    names: dict[str, object] = {}
    exec("from evenhand import *", names)
    assert {*dir(evenhand)} <= {*names}


def test_a_name_is_imported_at_first_use(tmp_path: Path) -> None:
    code = "import sys, evenhand; dir(evenhand); assert not {'torch', 'polars', 'lightning'} & {*sys.modules}"
    assert python("-c", code, folder=tmp_path).returncode == 0


def test_the_stub_has_the_names_of_the_same_packages() -> None:
    stub = (REPOSITORY / "evenhand" / "__init__.pyi").read_text()
    sources = re.findall(r"^from (\S+) import \*", stub, re.MULTILINE)
    assert {name for source in sources for name in dir(import_module(source))} == {*dir(evenhand)}
    for source in sources:  # a type checker takes every name of a stub without __all__
        assert "__all__" not in (REPOSITORY / source.replace(".", "/") / "__init__.pyi").read_text()


@pytest.mark.slow
def test_a_type_checker_sees_the_names(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(
        "from evenhand import LitMLP, load\nload(1)\nLitMLP(hidden='x')\nimport evenhand\nevenhand.Lit\n"
    )
    done = python("-m", "mypy", "--config-file", str(REPOSITORY / "pyproject.toml"), "user.py", folder=tmp_path)
    assert [line.split(": ")[0] for line in done.stdout.splitlines()[:-1]] == ["user.py:2", "user.py:3", "user.py:5"]


@pytest.mark.parametrize("first", ["", "."])
@pytest.mark.parametrize("words", [("-m", "evenhand", "--version"), ("-c", RUN, str(os.getpid()), "--version")])
def test_commands_and_runs_of_a_sweep_start_where_a_project_has_our_names(
    project: Path, words: tuple[str, ...], first: str
) -> None:
    done = python(*words, folder=project, first=first)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("evenhand ")
    assert len(done.stdout.splitlines()) == 1  # nothing of the project was imported


@pytest.mark.parametrize("name", OURS)
def test_a_project_that_imports_its_own_package_of_our_name_gets_one_sentence(project: Path, name: str) -> None:
    codes = [f"import evenhand, {name}.mine", f"import evenhand; from {name} import mine"]
    if (project / name / "__init__.py").exists():  # a folder without one is found after the installed package
        codes.append(f"import {name}.mine, evenhand")
    for code in codes:
        done = python("-c", code, folder=project)
        *_, sentence = done.stderr.splitlines()
        assert done.returncode == 1
        assert sentence.startswith("ImportError: ")
        assert f"{project / name} has the same name" in sentence
        assert "rename that folder" in sentence
    done = python("-c", f"import evenhand; from {name} import nothing", folder=REPOSITORY)
    assert f"cannot import name 'nothing' from '{name}'" in done.stderr


@pytest.mark.slow
def test_a_sweep_runs_where_a_project_has_our_names(project: Path) -> None:
    (project / "my.csv").write_text("a,b,label\n" + "".join(f"{row},{row % 7},{row % 2}\n" for row in range(60)))
    data = ("--data", "TableData", "--data.path", "my.csv", "--data.target", "label")
    words = ("sweep", *data, "--model", "LitLinear", "--seeds", "0", "--figures", "false", "--trainer.max_epochs", "1")
    done = python("-m", "evenhand", *words, folder=project, first=".")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the project has imported" not in done.stdout
