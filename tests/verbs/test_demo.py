"""``evenhand demo`` trains every architecture and prints one table of them."""

from itertools import pairwise
from pathlib import Path

import pytest
from doc_pages import PAGES, blocks, lacking

from experiments.__main__ import main
from experiments.verbs import demo


def test_one_row_for_each_architecture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "SHORT", dict.fromkeys(demo.SHORT, 1))
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["demo"]) == 0
    output = capsys.readouterr().out
    (page,) = (page for page in PAGES if page.stem == "results")
    shown = next(after.text for block, after in pairwise(blocks(page)) if block.commands == ["evenhand demo"])
    assert not lacking(shown, output)
    table = output.split("MNIST-1D, 1,000 test rows")[1]
    for column in ("accuracy", "precision", "recall", "f1", "auroc", "parameters", "seconds"):
        assert column in table
    for name in ("linear", "mlp", "cnn", "gru", "transformer"):
        (row,) = (line.split() for line in table.splitlines() if line.split()[:1] == [name])
        assert len(row) == 8
    assert "tensorboard --logdir" in table
    assert len(list((tmp_path / "runs" / "mnist1d-demo").iterdir())) == 5
