"""Series through the command line: every architecture learns from them, for every task."""

from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from conftest import Fit
from tiny_data import PLAIN, writer
from wave_series import as_long, waves

from experiments.__main__ import main

Save = Callable[..., str]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes a file and gives its path, see ``writer``."""
    return writer(tmp_path, "my.npz")


def test_fewer_steps_in_a_batch_change_no_result(fit: Fit, save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    words = f"--data SeriesData --data.path {save(waves())} --data.batch_size 8 --seed_everything 0"
    words += " --model LitCNN --model.dropout 0 --trainer.max_epochs 3"
    trimmed = fit(*words.split())["metrics"]
    monkeypatch.setattr("datamodules.loading.tensor_loader.TensorLoader._longest", lambda *_: None)
    assert fit(*words.split())["metrics"] == pytest.approx(trimmed, rel=1e-4)


LEARN = ("--model.optimizer.lr", "0.01", "--trainer.max_epochs", "8", "--seed_everything", "0", *PLAIN)

MODELS = {
    "LitLinear": "",
    "LitMLP": "--model.hidden [32]",
    "LitCNN": "--model.channels [16,32]",
    "LitRNN": "--model.cell gru --model.hidden 16",
    "LitTransformer": "--model.width 16 --model.heads 2 --model.num_layers 1 --model.convolution 5",
}


@pytest.mark.parametrize("model", MODELS)
def test_every_architecture_learns_generated_series(fit: Fit, save: Save, model: str) -> None:
    words = f"--data SeriesData --data.path {save(waves(240))} --data.batch_size 24 --model {model} {MODELS[model]}"
    record = fit(*words.split(), *LEARN)
    # A linear model cannot tell waves of any phase apart by their speed.
    assert record["metrics"]["test/accuracy"] > {"LitLinear": 0.2, "LitMLP": 0.6}.get(model, 0.9)


@pytest.mark.usefixtures("sktime")
@pytest.mark.parametrize(
    "model",
    [pytest.param(model, marks=() if model in ("LitLinear", "LitRNN") else pytest.mark.slow) for model in MODELS],
)
def test_every_architecture_learns_japanese_vowels(fit: Fit, model: str) -> None:
    words = f"--data JapaneseVowels --data.batch_size 32 --model {model} {MODELS[model]}"
    record = fit(*words.split(), *LEARN)
    assert record["rows"]["test"] == 370
    assert record["metrics"]["test/accuracy"] > 0.85


@pytest.mark.parametrize(
    ("y", "words"),
    [("labels", "--model LitRNN --model.hidden 8"), ("values", "--model LitMLP"), ("two", "--model LitCNN")],
)
def test_every_task_and_a_checkpoint_that_tests_alone(
    fit: Fit, save: Save, capfd: pytest.CaptureFixture[str], y: str, words: str
) -> None:
    arrays = waves()
    targets = {"labels": numpy.eye(3, dtype=int)[arrays["y"]], "values": arrays["y"] * 1.5, "two": arrays["y"] > 0}
    path = save(arrays | {"y": targets[y]})
    record = fit("--data", "SeriesData", "--data.path", path, *words.split(), "--trainer.max_epochs", "1")
    capfd.readouterr()
    assert main(["test", "--ckpt_path", str(record["path"] / "checkpoints" / "best.ckpt")]) == 0
    name, wanted = next((name, value) for name, value in record["metrics"].items() if name.startswith("test/"))
    printed = next(line for line in capfd.readouterr().out.splitlines() if name in line)
    assert float(printed.strip("│ ").split("│")[1]) == pytest.approx(wanted)


def test_settings_of_series_can_be_typed(fit: Fit, save: Save) -> None:
    words = f"--data SeriesData --data.path {save(as_long(waves()), 'my.csv')} --data.target y --data.id who"
    words += " --data.step at --data.drop day --data.group person --data.window 8 --data.stride 4 --model LitLinear"
    record = fit(*words.split(), "--trainer.max_epochs", "1")
    assert record["hyperparameters"]["data.window"] == 8
    again = fit("-c", str(record["path"] / "config.yaml"))
    assert (again["fingerprints"], again["metrics"]) == (record["fingerprints"], record["metrics"])
