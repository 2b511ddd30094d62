"""A sweep over ``data.train_fraction`` says whether more data would help, and draws the curve."""

import importlib.util
from pathlib import Path

import pytest
from in_process_sweep import Calls, calls

from experiments.__main__ import main

__all__ = ["calls"]

WORDS = "--trust tiny_package --figures false --data Tiny --data.batch_size 10 --trainer.max_epochs 1 --experiment e"


def sweep(root: Path, *words: str) -> int:
    return main(["sweep", *WORDS.split(), *words, "--trainer.default_root_dir", str(root)])


def test_each_model_has_a_curve_and_an_answer(root: Path, calls: Calls, capfd: pytest.CaptureFixture[str]) -> None:
    assert sweep(root, "--grid", "model=LitLinear,LitMLP", "data.train_fraction=.25,.5,1") == 0
    printed = capfd.readouterr().out
    for model in ("LitLinear", "LitMLP"):
        assert f"would more data help {model}? 3 numbers of rows tell no power law" in printed
    figure = root / "runs" / "e" / "learning_curve.png"
    assert f"learning curve: {figure}" in printed
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert "not compared with the first" not in printed


def test_a_sweep_without_several_fractions_has_none(
    root: Path, calls: Calls, capfd: pytest.CaptureFixture[str]
) -> None:
    assert sweep(root, "--model", "LitLinear", "--data.train_fraction=.5", "--grid", "model.dropout=0.1,0.2") == 0
    assert "more data" not in capfd.readouterr().out
    assert not (root / "runs" / "e" / "learning_curve.png").exists()


def test_without_matplotlib_the_answer_is_given_and_no_figure(
    root: Path, calls: Calls, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    without = lambda name, *rest: None if name == "matplotlib" else found(name, *rest)  # noqa: E731
    monkeypatch.setattr("experiments.sweep.runner.find_spec", without)
    assert sweep(root, "--grid", "data.train_fraction=.5,1", "--model", "LitLinear") == 0
    printed = capfd.readouterr().out
    assert "no learning curve is drawn: it needs matplotlib" in printed
    assert "would more data help LitLinear?" in printed
