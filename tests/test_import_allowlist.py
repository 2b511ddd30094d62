"""Whom ``--trust`` and a pyproject.toml allow to be imported, of which commands, and what is said of it."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import pytest

from experiments.allowed_classes import import_class
from experiments.import_allowlist import TrustError, allow, project_applies, project_packages
from lit_models import ConfigError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder from which modules are imported; no package is trusted afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    modules = set(sys.modules)
    yield tmp_path
    allow([])
    for name in set(sys.modules) - modules:
        if name.partition(".")[0] in ("own_words", "own_parts"):
            del sys.modules[name]


def write(text: str, name: str = "pyproject.toml") -> None:
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(text)


@pytest.mark.parametrize(
    ("text", "packages"),
    [
        ('[tool.evenhand]\ntrust = ["a", "b.c"]', ["a", "b.c"]),
        ("", []),
        ("tool = 3", []),
        ("tool = {evenhand = 3}", []),
        ("[tool.evenhand]\nseed = 3", []),
        ("[tool.other]\ntrust = 3", []),
    ],
)
def test_the_packages_that_a_project_trusts(folder: Path, text: str, packages: list[str]) -> None:
    write(text)
    assert project_packages(folder) == packages


@pytest.mark.parametrize("trust", ['"a"', "[1]", '["a", 1]', "3", "{a = 1}"])
def test_trust_is_a_list_of_names(folder: Path, trust: str) -> None:
    write(f"[tool.evenhand]\ntrust = {trust}")
    with pytest.raises(TrustError, match="it is a list of package names"):
        project_packages(folder)


@pytest.mark.parametrize("text", ["\x1b", "a = " + "[" * 10_000], ids=["no TOML", "nested"])
def test_a_pyproject_that_cannot_be_read(folder: Path, text: str) -> None:
    write(text)
    with pytest.raises(TrustError, match=r"pyproject\.toml cannot be read"):
        project_packages(folder)


def test_without_a_pyproject_nothing_is_trusted(folder: Path) -> None:
    assert project_packages(folder) == []


def test_a_pyproject_that_is_a_pipe_is_not_opened(folder: Path) -> None:
    os.mkfifo("pyproject.toml")
    pipe = os.open("pyproject.toml", os.O_RDWR)
    timer = Timer(0.2, os.close, [pipe])  # a reader would get the text then
    os.write(pipe, b'[tool.evenhand]\ntrust = ["a"]')
    timer.start()
    with pytest.raises(TrustError, match="is a pipe"):
        project_packages(folder)
    timer.join()


@pytest.mark.parametrize(
    ("words", "checkpoint", "applies"),
    [
        *(([verb, "--data", "Digits"], None, True) for verb in ("fit", "sweep", "floor", "inspect")),
        *(([verb], None, False) for verb in ("test", "validate", "predict", "export", "serve", "compare")),
        ([], None, False),
        (["--data", "fit"], None, False),
        (["fit"], "last", True),
        (["fit"], "runs/e/a", True),
        (["fit"], "elsewhere/runs/e/a", False),
        (["fit"], "runs/../got", False),
        (["test"], "runs/e/a", False),
    ],
)
def test_commands_that_may_trust_whom_the_project_trusts(
    words: list[str], checkpoint: str | None, applies: bool
) -> None:
    assert project_applies(words, checkpoint) == applies


@pytest.mark.parametrize("word", ["a b", "", "../a", "a.", "1a", "jsonargparse", "jsonargparse.typing", "*"])
def test_a_word_that_is_no_packages_name(folder: Path, word: str) -> None:
    with pytest.raises(TrustError, match=r"--trust .*this is no package's name"):
        allow([word])
    write(f'[tool.evenhand]\ntrust = ["{word}"]')
    with pytest.raises(TrustError, match=r"\[tool.evenhand\] trust in pyproject.toml .*no package's name"):
        allow([], folder)


CLASS = "class Net: ...\n"


def test_packages_of_the_project_are_listed_once(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(CLASS, "own_words.py")
    write('[tool.evenhand]\ntrust = ["own_words"]')
    line = f"trusted by {folder / 'pyproject.toml'}: own_words\n"
    for packages, rank, printed in (([], "0", line), ([], "1", ""), (["own_words"], "0", "")):
        monkeypatch.setenv("LOCAL_RANK", rank)
        allow(packages, folder)
        assert capsys.readouterr().err == printed
    monkeypatch.delenv("LOCAL_RANK")
    allow([], folder)
    assert capsys.readouterr().err == line
    allow(["own_words"])
    assert capsys.readouterr().err == ""


def test_modules_of_the_current_folder_are_imported_last() -> None:
    write(CLASS, "own_words.py")
    allow([])
    assert "" not in sys.path
    for _ in range(2):
        allow(["own_words"])
        assert sys.path.count("") == 1
        assert sys.path[-1] == ""
    assert "own_words" in sys.modules


def may_be_named(path: str) -> bool:
    try:
        import_class(path)
    except ConfigError:
        return False
    return True


SAVE_CONFIG = "lightning.pytorch.cli.SaveConfigCallback"
LPIPS = "torchmetrics.image.lpip.LearnedPerceptualImagePatchSimilarity"


def test_trust_ends_with_the_next_command() -> None:
    write("from torch import nn\nclass Net(nn.Module): ...\n", "own_words.py")
    trusted = ["own_words", SAVE_CONFIG, "torch.optim.SGD", LPIPS]
    allow(trusted)
    assert all(map(may_be_named, ["own_words.Net", *trusted[1:]]))
    allow([])
    assert [may_be_named(path) for path in ("own_words.Net", *trusted[1:])] == [False, False, True, False]
    allow(["own_words"])
    assert may_be_named("own_words.Net")


def test_a_class_may_be_trusted_alone() -> None:
    write("from torch import nn\nclass Net(nn.Module): ...\nclass Other(nn.Module): ...\n", "own_words.py")
    allow(["own_words.Net"])
    assert may_be_named("own_words.Net")
    assert not may_be_named("own_words.Other")


@pytest.mark.parametrize(
    "package", ["nowhere", "nowhere.inner", "own_words.Missing", "own_parts.broken", "own_parts.missing"]
)
def test_a_package_that_cannot_be_imported(package: str) -> None:
    """The submodule ``broken`` itself imports a module that is missing, and its package has another object so named."""
    write(CLASS, "own_words.py")
    write("broken = 1", "own_parts/__init__.py")
    write("import nowhere", "own_parts/broken.py")
    with pytest.raises(TrustError, match=f"--trust {package}: .*install it"):
        allow([package])
