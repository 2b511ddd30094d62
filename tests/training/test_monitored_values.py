"""Monitored values: their direction, early stops before ``min_epochs``, the lines of epochs, the best checkpoint."""

import re
from pathlib import Path
from typing import Any

import pytest
from conftest import Fit
from tiny_data import PLAIN

from experiments.__main__ import main

TINY = "--data tiny_package.TinyRegression --model LitLinear --trainer.accelerator cpu --experiment e"
PEARSON = [*TINY.split(), "--model.metrics", "{pearson: {class_path: torchmetrics.PearsonCorrCoef}}"]
STOP = "--trainer.callbacks EarlyStopping --trainer.callbacks.monitor"
SAVE = "--trainer.callbacks ModelCheckpoint --trainer.callbacks.monitor"
LOGS = "--trainer.callbacks tiny_package.LogsDepth"


@pytest.mark.parametrize("monitor", ["val/pearson", "train/lr", "train/gradient_norm"])
def test_a_value_without_a_direction_needs_mode(refused: Any, monitor: str) -> None:
    message = refused(*PEARSON, *f"--trainer.max_epochs 1 {SAVE} {monitor}".split())
    assert f"{monitor} has no direction of its own; add mode, min or max" in message


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_typed_mode_is_the_direction(fit: Fit, mode: str) -> None:
    more = f"--trainer.max_epochs 3 {SAVE} val/pearson --trainer.callbacks.mode {mode}"
    record = fit(*PEARSON, *more.split())
    assert f"mode: {mode}" in (record["path"] / "config.yaml").read_text()


def test_a_mode_in_a_file_counts(fit: Fit, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "trainer: {callbacks: [{class_path: ModelCheckpoint, init_args: {monitor: val/pearson, mode: min}}]}"
    )
    record = fit(*PEARSON, "-c", str(tmp_path / "c.yaml"), "--trainer.max_epochs", "1")
    assert "mode: min" in (record["path"] / "config.yaml").read_text()


def test_a_plateau_schedule_needs_mode_too(refused: Any, fit: Fit) -> None:
    plateau = "--trainer.max_epochs 1 --model.schedule.scheduler ReduceLROnPlateau --model.schedule.monitor val/pearson"
    assert "add mode, min or max" in refused(*PEARSON, *plateau.split())
    fit(*PEARSON, *plateau.split(), "--model.schedule.scheduler.mode", "max")


def test_a_value_that_a_callback_logs_can_be_monitored(fit: Fit, refused: Any) -> None:
    typed = f"{TINY} --trainer.max_epochs 2 {LOGS}"
    watch = "--trainer.callbacks+ EarlyStopping --trainer.callbacks.monitor"
    assert "has no direction of its own" in refused(*f"{typed} {watch} val/depth".split())
    assert "nothing logs 'val/depth'" in refused(*f"{TINY} {STOP} val/depth --trainer.callbacks.mode min".split())
    assert fit(*f"{typed} {watch} val/depth --trainer.callbacks.mode min".split())["epochs"] == 2


@pytest.mark.parametrize(("falls", "epochs"), [(3, 8), (99, 5)])
def test_an_early_stop_before_min_epochs_is_taken_back_if_the_value_recovers(fit: Fit, falls: int, epochs: int) -> None:
    typed = f"{TINY} --trainer.min_epochs 5 --trainer.max_epochs 8 {LOGS} --trainer.callbacks.falls {falls}"
    watch = "--trainer.callbacks+ EarlyStopping --trainer.callbacks.monitor val/depth --trainer.callbacks.mode min"
    assert fit(*typed.split(), *watch.split(), "--trainer.callbacks.patience", "2")["epochs"] == epochs


def test_the_line_of_an_epoch_has_values_of_that_epoch(fit: Fit, capfd: pytest.CaptureFixture[str]) -> None:
    fit(*TINY.split(), "--trainer.max_epochs", "5", "--trainer.check_val_every_n_epoch", "2", *PLAIN)
    lines = re.findall(r"^epoch (\d)/5 (.*)$", capfd.readouterr().out, re.MULTILINE)
    assert [epoch for epoch, values in lines if "val/loss" in values] == ["2", "4"]
    assert all("train/loss" in values for _, values in lines)


def test_a_checkpoint_under_a_name_of_its_own_is_the_best_of_the_run(fit: Fit, tmp_path: Path) -> None:
    words = f"--trainer.max_epochs 2 {SAVE} val/loss --trainer.callbacks.filename".split()
    path = fit(*TINY.split(), *words, "{epoch}-{val/loss:.3f}")["path"]
    moved = path.rename(tmp_path / "moved")
    validate = ["validate", "--trust", "tiny_package", "--ckpt_path", str(moved)]
    assert not (moved / "checkpoints" / "best.ckpt").exists()
    assert main(validate) == 0
