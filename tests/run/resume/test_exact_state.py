"""A resumed run is the uninterrupted run, bit for bit, from a kill at any step.

On plain Lightning these fail: it saves no generators' state, so dropout and later epochs differ; it skips a plateau
schedule's step behind a checkpoint, replays the first epoch's order in later ones, forgets the sums of the epoch, and
draws TensorBoard curves that go back in time.
"""

import json
import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fork_server import Server, server
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from resumed_runs import BATCHES, EPOCHS, LOADERS, MODELS, SCHEDULES, assert_equal, run, state, words_of

from experiments.run.resume.exact_state import adapt


@pytest.fixture(scope="module")
def forks() -> Iterator[Server]:
    with server() as running:
        yield running


whole_runs: dict[tuple[str, str], dict[str, Any]] = {}


def uninterrupted(forks: Server, folder: Path, model: str, loader: str) -> dict[str, Any]:
    if (model, loader) not in whole_runs:
        (folder / "whole").mkdir()
        whole_runs[model, loader] = state(run(forks, folder / "whole", words_of(model, loader)))
    return whole_runs[model, loader]


def check_kill(forks: Server, folder: Path, model: str, loader: str, moment: str) -> None:
    expected = uninterrupted(forks, folder, model, loader)
    here = folder / moment.replace(" ", "-")
    here.mkdir()
    child = forks.start(words_of(model, loader), here, PAUSE_AT=moment)
    child.wait_for(here / "reached")
    child.kill()
    path = run(forks, here, words_of(model, loader))
    assert_equal(state(path), expected, f"{model} {loader} {moment}")
    shutil.rmtree(here)


def moments(model: str) -> list[str]:
    """Steps, before and after the weights move, and the moments around an epoch's end."""
    steps = BATCHES * EPOCHS // (2 if model == "gru" else 1)
    found = [f"step {step}" for step in range(1, steps, 1 if model == "gru" else 2)]
    found += [f"start {step}" for step in range(0, steps, 5)]
    return [
        *found,
        *(f"validation {epoch}" for epoch in range(EPOCHS)),
        *(f"epoch {epoch}" for epoch in (0, 3)),
        "test",
    ]


# Each model and each loader; the slow test has all pairs, and the tests below have an MLP with the loader of its own.
PAIRS = [("cnn", "2"), ("gru", "2 within"), ("transformer", "0"), ("any network", "0"), ("frozen network", "0")]


@pytest.mark.parametrize(("model", "loader"), PAIRS)
def test_a_killed_run_ends_as_the_uninterrupted_one(forks: Server, tmp_path: Path, model: str, loader: str) -> None:
    """Plain Lightning saves no generators, so dropout and the workers' noise go on differently (PL#18098, PL#19764)."""
    moment = {
        "cnn": "validation 2",
        "gru": "step 7",
        "transformer": "start 25",
        "any network": "step 9",
        "frozen network": "step 19",
    }[model]
    check_kill(forks, tmp_path, model, loader, moment)


@pytest.mark.parametrize("moment", ["step 13", pytest.param("epoch 1", marks=pytest.mark.slow)])
def test_a_killed_run_without_validation_rows_does_too(forks: Server, tmp_path: Path, moment: str) -> None:
    """The train loss, partly of steps before the kill, chooses the best epoch, steps the schedule and stops early."""
    plateau = SCHEDULES["plateau"] + " --model.schedule.monitor train/loss"
    words = ["--data.ratios", "[0.8,0,0.2]", *plateau.split(), "--trainer.callbacks.monitor", "train/loss"]
    options = words_of("mlp", "0", *words)
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    expected = state(run(forks, tmp_path / "whole", options))
    child = forks.start(options, tmp_path / "killed", PAUSE_AT=moment)
    child.wait_for(tmp_path / "killed" / "reached")
    child.kill()
    assert_equal(state(run(forks, tmp_path / "killed", options)), expected, moment)
    assert not any(name.startswith("val/") for name in expected["curves"])


STEPWISE = """--trainer.callbacks+ ModelCheckpoint --trainer.callbacks.every_n_train_steps 3 --data.batch_size 64
--trainer.num_sanity_val_steps 0"""

PLANNED = """--trainer.callbacks+ GradientAccumulationScheduler --trainer.callbacks.scheduling {"0":1,"1":2}"""

SWA = """--trainer.callbacks+ StochasticWeightAveraging --trainer.callbacks.swa_lrs 0.05
--trainer.callbacks.swa_epoch_start 1 --trainer.callbacks.annealing_epochs 20"""


@pytest.mark.parametrize(
    ("more", "moment"),
    [
        (STEPWISE, "validation 2"),  # behind its checkpoint of the epoch's last batch, which has no validation in it
        ("--trainer.val_check_interval 3", "step 7"),  # behind best.ckpt of a validation within the epoch
        (PLANNED, "step 13"),  # within the second epoch, whose steps take two batches
        (SWA, "step 23"),  # within the third epoch, whose schedule is its own
    ],
)
def test_other_ways_to_save_and_validate_within_an_epoch(forks: Server, tmp_path: Path, more: str, moment: str) -> None:
    options = words_of("mlp", "0", *more.split())
    if "val_check" in more:
        options[options.index("--save_every_n_steps") + 1] = "100"
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    expected = state(run(forks, tmp_path / "whole", options))
    child = forks.start(options, tmp_path / "killed", PAUSE_AT=moment)
    child.wait_for(tmp_path / "killed" / "reached")
    child.kill()
    assert_equal(state(run(forks, tmp_path / "killed", options)), expected, moment)


def test_checkpoints_of_a_killed_session_are_saved_again_by_their_names(forks: Server, tmp_path: Path) -> None:
    """Plain Lightning finds them there, and saves epoch=1-step=16-v1.ckpt beside them."""
    typed = "--trainer.callbacks+ ModelCheckpoint --trainer.callbacks.monitor val/loss --trainer.callbacks.save_top_k 2"
    options = words_of("mlp", "0", *typed.split())
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    run(forks, tmp_path / "whole", options)
    child = forks.start(options, tmp_path / "killed", PAUSE_AT="epoch 1")
    child.wait_for(tmp_path / "killed" / "reached")
    child.kill()
    run(forks, tmp_path / "killed", options)
    names = [{path.name for path in tmp_path.glob(f"{name}/runs/e/one/checkpoints/*")} for name in ("whole", "killed")]
    assert len(names[0]) == 3
    assert names[1] == names[0]


def test_a_checkpoint_of_an_epochs_last_batch_is_said_to_be_inexact(forks: Server, tmp_path: Path) -> None:
    run(forks, tmp_path, words_of("mlp", "0", *STEPWISE.split()))
    (file,) = (tmp_path / "runs/e/one/checkpoints").glob("epoch=*.ckpt")
    words = ["fit", "--trust", "faults", "--ckpt_path", str(file), "--run", "two", "--trainer.max_epochs", "6"]
    child = forks.start(words, tmp_path)
    assert child.wait() == 0, child.output.read_text()
    assert "no exact continuation" in child.output.read_text()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("model", MODELS)
def test_a_kill_at_any_point(forks: Server, tmp_path: Path, model: str, loader: str) -> None:
    """At least 24 points each."""
    assert len(moments(model)) >= 24
    for moment in moments(model):
        check_kill(forks, tmp_path, model, loader, moment)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_kill_at_a_hundred_random_times(forks: Server, tmp_path: Path) -> None:
    """Between the first line of code and the last, saves included."""
    expected = uninterrupted(forks, tmp_path, "cnn", "0")
    words = words_of("cnn", "0")
    began = time.monotonic()
    (tmp_path / "timed").mkdir()
    run(forks, tmp_path / "timed", words)
    seconds = time.monotonic() - began
    chance = random.Random(0)
    for number in range(100):
        here = tmp_path / str(number)
        here.mkdir()
        for _ in range(2):  # killed, and killed again
            child = forks.start(words, here)
            time.sleep(chance.uniform(0.1, 1) * seconds)
            child.stop()
        record = here / "runs/e/one/record.json"
        if not record.exists() or json.loads(record.read_text())["status"] != "finished":
            run(forks, here, words)
        assert_equal(state(here / "runs/e/one"), expected, str(number))
        shutil.rmtree(here)


def test_a_name_of_a_killed_session_is_taken_once(tmp_path: Path) -> None:
    """Every later save of that name gets a version, as in a run that nobody killed."""
    resumed, newer = tmp_path / "last.ckpt", tmp_path / "m.ckpt"
    for age, path in ((100, resumed), (50, newer)):
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    saver, trainer = ModelCheckpoint(tmp_path, filename="m"), Trainer(accelerator="cpu", logger=False)
    adapt({"dirpath": str(tmp_path), "best_k_models": {}}, saver, resumed)
    assert [saver.file_exists(str(newer), trainer) for _ in range(3)] == [False, True, True]
