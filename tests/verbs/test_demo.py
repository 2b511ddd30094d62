"""``evenhand demo`` trains every architecture and prints one table of them, without any extra."""

import sys
from itertools import pairwise
from pathlib import Path

import pytest
from doc_pages import PAGES, blocks, lacking

from datamodules import Shapes1D
from experiments.__main__ import main
from experiments.verbs import demo

EXTRAS = ("matplotlib", "mnist1d", "onnx", "onnxruntime", "optuna", "prometheus_client", "sklearn", "starlette")


def test_one_row_for_each_architecture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in EXTRAS:
        monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "SHORT", dict.fromkeys(demo.SHORT, 1))
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["demo"]) == 0
    output = capsys.readouterr().out
    (page,) = (page for page in PAGES if page.stem == "results")
    shown = next(after.text for block, after in pairwise(blocks(page)) if block.commands == ["evenhand demo"])
    assert not lacking(shown, output)
    table = output.split("Shapes1D, 450 test rows")[1]
    for column in ("accuracy", "precision", "recall", "f1", "auroc", "parameters", "seconds"):
        assert column in table
    for name in ("linear", "mlp", "cnn", "gru", "transformer"):
        (row,) = (line.split() for line in table.splitlines() if line.split()[:1] == [name])
        assert len(row) == 8
    assert "tensorboard --logdir" in table
    assert len(list((tmp_path / "runs" / "demo").iterdir())) == 5


def test_the_full_one_names_the_package_that_makes_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mnist1d", None)
    with pytest.raises(SystemExit) as stopped:
        main(["demo", "--full", "--root", str(tmp_path)])
    assert stopped.value.code == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "MNIST1D is made by the package mnist1d, which is not installed" in line


def test_its_rows_are_the_same_on_every_machine() -> None:
    data = Shapes1D()
    data.setup("fit")
    assert data.fingerprints()["data"].startswith("49ec3e1c88dc3242")
    assert data.class_counts().tolist() == [210] * 10
