"""A run says which epoch was chosen, why it stopped, and what looks like a leak."""

import re
from pathlib import Path

import polars
import pytest
from conftest import Fit
from tiny_data import PLAIN

TINY = ["--data", "Tiny", "--model", "LitLinear"]
WATCH = ["--trainer.callbacks+", "EarlyStopping", "--trainer.callbacks.monitor", "val/loss"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--trainer.max_epochs", "3", *WATCH], "at its last epoch"),
        (["--trainer.max_epochs", "9", "--trainer.max_steps", "4"], "at its last step"),
        (["--trainer.max_epochs", "99999", "--trainer.max_time", "00:00:00:01"], "at its time limit"),
        (
            ["--trainer.max_epochs", "9", *WATCH, "--trainer.callbacks.patience", "2", "--model.optimizer.lr", "0"],
            "after 2 checks without a lower val/loss",
        ),
        (
            ["--trainer.max_epochs", "9", *WATCH, "--trainer.callbacks.stopping_threshold", "99"],
            "by EarlyStopping: stopping threshold",
        ),
    ],
)
def test_why_a_training_stopped(fit: Fit, capfd: pytest.CaptureFixture[str], words: list[str], reason: str) -> None:
    assert fit(*TINY, *words)["stopped"] == reason
    assert f"; stopped {reason}\n" in capfd.readouterr().out


@pytest.mark.parametrize("test_at_end", ["true", "false"])
def test_the_chosen_epoch_is_the_best_of_the_lines(
    fit: Fit, capfd: pytest.CaptureFixture[str], test_at_end: str
) -> None:
    words = ["--trainer.max_epochs", "6", "--seed_everything", "5", "--model.optimizer.lr", "0.3", *PLAIN]
    record = fit(*TINY, *words, "--test_at_end", test_at_end)
    printed = capfd.readouterr().out
    values = [float(value) for value in re.findall(r"^epoch \d/6 .* val/accuracy (\S+)", printed, re.MULTILINE)]
    assert len(values) == 6
    assert record["chosen"]["epoch"] == values.index(max(values)) + 1
    assert record["chosen"]["monitor"] == "val/accuracy"
    assert record["chosen"]["value"] == pytest.approx(max(values), abs=1e-4)
    assert f"\nchosen: epoch {record['chosen']['epoch']} of 6, by val/accuracy {max(values):.4f}; stopped" in printed


def test_a_fit_says_what_looks_like_a_leak(fit: Fit, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    labels = [index % 2 for index in range(200)]
    polars.DataFrame({"leak": labels, "other": range(200, 0, -1), "label": labels}).write_csv(tmp_path / "t.csv")
    words = ["--data", "TableData", "--data.path", str(tmp_path / "t.csv"), "--data.target", "label"]
    fit(*words, "--model", "LitLinear", "--trainer.max_epochs", "1")
    looks = [line for line in capfd.readouterr().out.splitlines() if line.startswith("look: ")]
    assert [line.split()[1] for line in looks] == ["leak", "other"]
