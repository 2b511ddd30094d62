"""Whom a project's pyproject.toml trusts a package for, and whom it does not."""

import sys
from pathlib import Path

import pytest
from hostile_runs import refusal, train, write_table

from experiments.__main__ import main
from experiments.export.exported_predictor import load_export
from experiments.import_allowlist import TrustError
from experiments.inference.predictor import load
from lit_models import ConfigError

OWN = """from pathlib import Path
Path("ran").touch()
from lit_models import LitLinear
class LitOwn(LitLinear): ...
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose pyproject.toml trusts ``own_part``, a module beside it that leaves ``ran`` when it is imported."""
    (tmp_path / "own_part.py").write_text(OWN)
    (tmp_path / "pyproject.toml").write_text('[tool.evenhand]\ntrust = ["own_part"]\n')
    write_table(tmp_path / "t.csv")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "own_part", raising=False)
    yield tmp_path
    sys.modules.pop("own_part", None)


def forget() -> None:
    sys.modules.pop("own_part", None)
    Path("ran").unlink(missing_ok=True)


def test_fit_and_inspect_say_whom_the_project_trusts(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    train(project, "--model", "own_part.LitOwn")
    stderr = capfd.readouterr().err
    assert f"trusted by {project / 'pyproject.toml'}: own_part" in stderr
    assert Path("ran").exists()
    forget()
    assert main(["inspect", "--data", "TableData", "--data.path", "t.csv", "--data.target", "label"]) == 0
    assert Path("ran").exists()


def test_verbs_that_open_a_run_need_trust(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = str(train(project, "--model", "own_part.LitOwn"))
    opening = {
        "test": ["test", "--ckpt_path", run],
        "validate": ["validate", "--ckpt_path", run],
        "rows": ["predict", "--ckpt_path", run],
        "predict": ["predict", "--ckpt_path", run, "--input", "t.csv", "--output", "o.csv"],
        "export": ["export", "--ckpt_path", run, "--format", "safetensors", "--output", "out"],
    }
    for words in opening.values():
        forget()
        assert "add --trust own_part" in refusal(capfd, *words)  # which also looks that nothing ran
        assert main([*words, "--trust", "own_part"]) == 0
    forget()
    with pytest.raises(ConfigError, match="trust="):
        load(run)
    assert not Path("ran").exists()
    assert load(run, trust=["own_part"]).task == "binary"
    forget()
    assert "--trust" in refusal(capfd, "export", "--verify", "out")
    assert load_export("out", trust=["own_part"]).task == "binary"


def test_a_checkpoint_of_elsewhere_is_not_of_the_project(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = train(project, "--model", "own_part.LitOwn")
    more = ["fit", "--ckpt_path", str(run), "--run", "b", "--trainer.max_epochs", "2", "--figures", "false"]
    forget()
    assert main(more) == 0
    run.rename(project / "got")
    forget()
    elsewhere = [word if word != str(run) else str(project / "got") for word in more]
    assert "--trust" in refusal(capfd, *elsewhere, "--run", "c")


@pytest.mark.parametrize("text", ["\x1b", "tool = 3", "tool = {evenhand = 3}", "[tool.evenhand]\ntrust = ['a b']"])
def test_a_pyproject_that_is_none_of_ours(project: Path, capfd: pytest.CaptureFixture[str], text: str) -> None:
    (project / "pyproject.toml").write_text(text)
    words = ["inspect", "--data", "TableData", "--data.path", "t.csv", "--data.target", "label"]
    if "tool =" in text:
        assert main(words) == 0
    else:
        assert "pyproject.toml" in refusal(capfd, *words)


@pytest.mark.parametrize("word", ["a b", "", "../own_part", "own_part;", "jsonargparse", "no.such.package", "*"])
def test_an_odd_word_behind_trust(project: Path, capfd: pytest.CaptureFixture[str], word: str) -> None:
    (project / "pyproject.toml").unlink()
    assert "--trust" in refusal(capfd, "fit", "--trust", word, "--data", "Digits", "--model", "LitLinear")
    with pytest.raises(TrustError):
        load("nowhere", trust=[word])


@pytest.mark.parametrize(("file", "module"), [("own_part.py", "own_part"), ("./models/own_part.py", "models.own_part")])
def test_a_file_in_place_of_a_package(project: Path, capfd: pytest.CaptureFixture[str], file: str, module: str) -> None:
    words = ["fit", "--data", "TableData", "--data.path", "t.csv", "--data.target", "label"]
    message = refusal(capfd, *words, "--trust", file)
    assert f"--trust {file} is a file; name its module as Python imports it, {module}" in message
    assert len(message.strip().splitlines()) == 1
