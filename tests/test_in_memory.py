"""A user's own data set in memory: its base class, and what an older one's error message says."""

import pytest
from conftest import Fit

from datamodules import DataModule, InMemoryData, StreamData
from experiments.__main__ import main

OWN = """
import torch
from datamodules import {base}, Rows

class Mine({base}):
    task, modality, input_shape, num_outputs = "regression", "table", (2,), 1

    def load(self):
        x = torch.arange(60).view(30, 2).float()
        return Rows(x, x.sum(dim=1))
"""
WORDS = ["--data", "own.Mine", "--model", "LitLinear", "--trainer.max_epochs", "1", "--trust", "own"]


def test_a_class_with_load_trains(fit: Fit, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.py").write_text(OWN.format(base="InMemoryData"))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert fit(*WORDS, "--run", "one")["rows"] == {"train": 21, "val": 5, "test": 4}


def test_a_class_with_load_on_the_contract_is_told_its_base(refused, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "older.py").write_text(OWN.format(base="DataModule"))
    monkeypatch.syspath_prepend(str(tmp_path))
    message = refused(*[word.replace("own", "older") for word in WORDS])
    assert message == "error: Mine defines load(); derive it from InMemoryData instead of DataModule"


@pytest.mark.parametrize("options", [["--data.time", "a"], ["--data.stratify", "true"], ["--data.sampler", "balanced"]])
def test_options_of_data_in_memory_are_refused_for_streams(refused, options: list[str]) -> None:
    words = ["--data", "StreamedTable", "--data.path", "a.parquet", "--data.target", "b", "--model", "LitMLP"]
    assert refused(*words, *options).startswith("error: streamed rows ")


def test_both_implementations_are_siblings(capsys: pytest.CaptureFixture[str]) -> None:
    assert {InMemoryData, StreamData} <= {*DataModule.__subclasses__()}
    with pytest.raises(SystemExit):
        main(["fit", "--data.help", "MNIST1D"])
    assert "--data.buffer_mib" not in capsys.readouterr().out
