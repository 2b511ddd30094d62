"""Averaged weights, by Lightning's own callback: what was validated is what is saved, tested, and resumed from."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Fit
from fork_server import Server, server
from resumed_runs import assert_equal, state

from experiments.__main__ import main
from experiments.run.checkpoints.checkpoint_io import read

WORDS = ["--data", "Tiny", "--data.batch_size", "10", "--model", "LitMLP", "--model.hidden", "[8]"]
WORDS += ["--model.optimizer.lr", "0.02", "--model.schedule", "null", "--seed_everything", "1"]
DECAY = 0.8
AVERAGED = [*WORDS, "--trainer.callbacks+", "EMAWeightAveraging", "--trainer.callbacks.decay", str(DECAY)]
EPOCHS, STEPS = 4, 5  # 42 train rows in batches of 10


def states(path: Path) -> dict[int, dict[str, torch.Tensor]]:
    """The weights behind each step of a run that averages nothing."""
    return {int(file.stem.split("=")[1]): read(file)["state_dict"] for file in path.glob("checkpoints/step=*.ckpt")}


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


@pytest.fixture(scope="module")
def averaged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Returns the record of an undisturbed run with averaged weights, and its path."""
    root = tmp_path_factory.mktemp("averaged")
    words = [*AVERAGED, "--trainer.max_epochs", str(EPOCHS), "--figures", "false", "--experiment", "tiny"]
    main(["fit", "--trust", "tiny_package", *words, "--run", "whole", "--trainer.default_root_dir", str(root)])
    path = root / "runs/tiny/whole"
    return json.loads((path / "record.json").read_text()) | {"path": path}


def test_the_best_checkpoint_holds_the_average_that_was_validated(fit: Fit, averaged: dict[str, Any]) -> None:
    every = ["--trainer.callbacks+", "ModelCheckpoint", "--trainer.callbacks.every_n_train_steps", "1"]
    every += ["--trainer.callbacks.save_top_k", "-1", "--trainer.callbacks.filename", "{step}"]
    length = ["--trainer.max_epochs", str(EPOCHS)]
    plain = fit(*WORDS, *every, *length)
    weights = states(plain["path"])
    assert sorted(weights) == [*range(1, EPOCHS * STEPS + 1)]
    checkpoint = read(averaged["path"] / "checkpoints/best.ckpt")
    steps = checkpoint["global_step"]
    # The average of step 1 is its weights; from then on it moves by 1 - decay to each step's.
    for name, value in checkpoint["state_dict"].items():
        expected = weights[1][name].double()
        for step in range(2, steps + 1):
            expected = DECAY * expected + (1 - DECAY) * weights[step][name].double()
        if value.is_floating_point():
            torch.testing.assert_close(value.double(), expected, atol=1e-5, rtol=1e-4, msg=name)
    assert_same(checkpoint["current_model_state"], weights[steps])


@pytest.mark.parametrize("verb", ["test", "validate"])
def test_the_best_checkpoint_alone_repeats_what_the_run_said_of_it(
    verb: str,
    averaged: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert main([verb, "--trust", "tiny_package", "--ckpt_path", str(averaged["path"] / "checkpoints/best.ckpt")]) == 0
    loss = averaged["metrics"]["test/loss"] if verb == "test" else averaged["validation"]["loss"]
    assert str(loss)[:5] in capsys.readouterr().out


def test_a_longer_run_goes_on_with_the_weights_and_with_their_average(
    fit: Fit, root: Path, averaged: dict[str, Any]
) -> None:
    part = fit(*AVERAGED, "--trainer.max_epochs", "2", "--run", "part")
    words = ["fit", "--trust", "tiny_package", "--run", "part", "--experiment", "tiny", "--figures", "false"]
    words += ["--trainer.max_epochs", str(EPOCHS), "--trainer.default_root_dir", str(root)]
    assert main(words) == 0
    one, two = (read(run["path"] / "checkpoints/last.ckpt") for run in (averaged, part))
    for key in ("state_dict", "current_model_state"):
        assert_same(one[key], two[key])
    again = json.loads((part["path"] / "record.json").read_text())
    assert again["metrics"] == averaged["metrics"]


@pytest.fixture(scope="module")
def forks() -> Iterator[Server]:
    with server() as running:
        yield running


KILLED = """fit --trust faults --data faults.Waves --data.batch_size 16 --model LitMLP --model.hidden [8]
--model.dropout 0.2 --trainer.max_epochs 3 --seed_everything 3 --experiment e --run one
--trainer.callbacks+ faults.Pause
--trainer.callbacks+ EMAWeightAveraging --trainer.callbacks.decay 0.8 --save_every_n_steps 2 --figures false"""


def test_a_killed_run_goes_on_with_its_average(forks: Server, tmp_path: Path) -> None:
    ends = []
    for moments in ([], ["step 3", "step 11", "validation 1"]):
        folder = tmp_path / str(len(moments))
        folder.mkdir()
        for moment in moments:
            child = forks.start(KILLED.split(), folder, PAUSE_AT=moment)
            child.wait_for(folder / "reached")
            child.kill()
            (folder / "reached").unlink()
        child = forks.start(KILLED.split(), folder)
        assert child.wait() == 0, child.output.read_text()
        path = folder / "runs/e/one"
        last = read(path / "checkpoints/last.ckpt")
        ends.append(state(path) | {"weights": last["current_model_state"], "average": last["averaging_state"]})
    for end in ends[1:]:
        assert_equal(end, ends[0])
