"""Features of a frozen network: computed once, equal to those of every step, and only where the rows stay the same."""

import sys
from pathlib import Path
from typing import Any

import foreign_networks
import numpy
import pytest
from digit_images import digits
from torch import Tensor

from experiments.__main__ import main
from experiments.run.record.record_io import read_record
from lit_models.any_network import frozen_features

RUN = "fit --trust foreign_networks --data Digits --model LitModule --model.network foreign_networks.Dropped "
RUN += "--model.head linear --model.optimizer.lr .01 --trainer.max_epochs 3 --seed_everything 1 --figures false"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> list[int]:
    """Returns the rows of each call of the network."""
    monkeypatch.chdir(tmp_path)
    rows, forward = list[int](), foreign_networks.Dropped.forward

    def counted(network: Any, x: Tensor) -> Tensor:
        rows.append(len(x))
        return forward(network, x)

    monkeypatch.setattr(foreign_networks.Dropped, "forward", counted)
    return rows


def test_each_row_goes_through_a_frozen_network_once(
    calls: list[int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main([*RUN.split(), "--model.freeze", "body", "--run", "kept"])
    printed = capsys.readouterr()
    assert "computes the features of the frozen network, once for all epochs" in printed.out
    assert "%" not in printed.err  # no bar without a terminal
    record = read_record(Path("runs/digits/kept"))
    rows = record["rows"]
    # Two rows are the network's trial, one counts its FLOPs; the chosen checkpoint predicts the validation rows again.
    assert sum(calls) == 2 + 1 + sum(rows.values()) + rows["val"]
    calls.clear()
    monkeypatch.setattr(frozen_features, "MAX_BYTES", 0)
    main([*RUN.split(), "--model.freeze", "body", "--run", "stepwise"])
    assert "are computed at every step: those of all rows take more than" in capsys.readouterr().out
    stepwise = read_record(Path("runs/digits/stepwise"))
    assert sum(calls) > 3 * rows["train"]
    assert stepwise["metrics"] == pytest.approx(record["metrics"], abs=1e-6)  # no dropout in frozen features


def test_a_terminal_shows_how_many_rows_have_their_features(
    calls: list[int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    main([*RUN.split(), "--model.freeze", "body", "--trainer.enable_progress_bar", "false"])
    bar = capsys.readouterr().err
    assert "features" in bar
    assert "100%" in bar


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--data.augment.crop 1", "augmentation changes the rows in each epoch"),
        ("--model.mixup .2", "mixtures of rows are new at each step"),
    ],
)
def test_features_of_rows_that_change_are_computed_at_every_step(
    calls: list[int], capsys: pytest.CaptureFixture[str], words: str, reason: str
) -> None:
    x, y = digits()
    numpy.savez("digits.npz", x=x, y=y)
    run = [*RUN.replace("--data Digits", "--data ImageData --data.path digits.npz").split(), "--model.freeze", "body"]
    main([*run, "--run", "unchanged"])
    assert "once for all epochs" in capsys.readouterr().out
    calls.clear()
    main([*run, *words.split(), "--run", "changed"])
    assert f"are computed at every step: {reason}" in capsys.readouterr().out
    assert sum(calls) > 3 * 0.6 * len(x)


def test_a_network_that_is_trained_later_is_computed_at_every_step(
    calls: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    main([*RUN.split(), "--model.freeze", "body", "--model.unfreeze_epoch", "1", "--run", "later"])
    assert "features of the frozen network" not in capsys.readouterr().out
    assert sum(calls) > 3 * 1200
