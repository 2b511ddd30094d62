"""A killed process ends the others within a minute, by its name, and the run goes on with any number of them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import rank_runs
from fork_server import Server, server
from paths import PYTHONPATH
from resumed_runs import assert_equal, curves
from test_ranks import ATTENTION, COMMON, DOTS, FIT, differ, fitted

STEPS = "--save_every_n_steps 1 --model LitMLP --model.hidden [16] --model.dropout 0"
WORDS = f"{DOTS} {STEPS} --trainer.callbacks+ rank_runs.PauseOne"


@pytest.fixture(scope="module")
def forks() -> Iterator[Server]:
    with server() as running:
        yield running


@pytest.mark.parametrize(
    ("rank", "counts"), [(1, (1,)), *(pytest.param(rank, (1, 2), marks=pytest.mark.slow) for rank in (0, 1))]
)
def test_a_killed_process_ends_the_other_and_the_run_goes_on_on_any_number(
    forks: Server, tmp_path: Path, rank: int, counts: tuple[int, ...]
) -> None:
    """On two, bit for bit: the next test."""
    steps, weights, _ = fitted(forks, tmp_path, "whole", WORDS)
    for processes in counts:
        run = f"on-{processes}"
        children = rank_runs.start(
            forks, [*FIT, *WORDS.split(), "--run", run], tmp_path, 2, SEEN=run, STOP_AT=f"{rank} 4"
        )
        children[rank].wait_for(tmp_path / "reached")
        (tmp_path / "reached").unlink()
        began = time.monotonic()
        children[rank].kill()
        assert children[1 - rank].wait() == 4
        assert time.monotonic() - began < 60
        (message,) = [line for line in children[1 - rank].output.read_text().splitlines() if "error:" in line]
        assert f"rank {rank} of the 2 processes" in message
        theirs, other, record = fitted(forks, tmp_path, run, WORDS, processes)
        assert record["status"] == "finished"
        assert theirs == {step: rows for step, rows in steps.items() if int(step) >= 4}
        assert differ(weights, other) < 1e-5
        losses = [curves(tmp_path / "runs/e" / name)["train/loss"] for name in ("whole", run)]
        assert numpy.allclose(*losses, rtol=1e-5)


def interrupted(forks: Server, folder: Path, run: str, words: str, processes: int) -> None:
    """A run that was killed in the middle of its second epoch."""
    (folder / "reached").unlink(missing_ok=True)
    command = [*FIT, *words.split(), "--run", run]
    children = rank_runs.start(forks, command, folder, processes, SEEN=run, STOP_AT=f"{processes - 1} 7")
    children[-1].wait_for(folder / "reached")
    for child in children:
        child.stop()


def test_two_processes_that_drop_units_go_on_bit_for_bit(forks: Server, tmp_path: Path) -> None:
    words = WORDS.replace("--model.dropout 0", "--model.dropout 0.4").replace("batch_size 24", "batch_size 22")
    _, weights, _ = fitted(forks, tmp_path, "whole", words, 2)
    interrupted(forks, tmp_path, "r", words, 2)
    _, other, _ = fitted(forks, tmp_path, "r", words, 2)
    assert differ(weights, other) == 0
    assert_equal(curves(tmp_path / "runs/e/r"), curves(tmp_path / "runs/e/whole"))


def test_a_run_goes_on_inside_an_epoch_with_its_batches_in_pieces(forks: Server, tmp_path: Path) -> None:
    words = f"{ATTENTION} --save_every_n_steps 1 --trainer.callbacks+ rank_runs.PauseOne"
    steps, weights, _ = fitted(forks, tmp_path, "whole", words)
    interrupted(forks, tmp_path, "r", words, 1)
    theirs, other, _ = fitted(forks, tmp_path, "r", f"{words} --trainer.accumulate_grad_batches 3")
    assert theirs == {step: rows for step, rows in steps.items() if int(step) >= 7}
    assert differ(weights, other) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["lightning", "torchrun"])
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_ends_the_other_under_either_launcher(tmp_path: Path, launcher: str, rank: int) -> None:
    done, seconds = killed(tmp_path, launcher, rank)
    output = done.stdout.read()  # type: ignore[union-attr]
    assert done.returncode not in (0, None), output
    assert seconds < 60
    assert f"error: rank {rank} of the 2 processes" in output
    again = subprocess.run(command("lightning", 1), cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert again.returncode == 0, again.stderr


def killed(folder: Path, launcher: str, rank: int) -> tuple[Any, float]:
    running = subprocess.Popen(
        command(launcher, 2),
        cwd=folder,
        env={**environment(), "STOP_AT": f"{rank} 4"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    end = time.monotonic() + 200
    while not (folder / "reached").exists() or not (folder / "reached").read_text():
        assert time.monotonic() < end
        assert running.poll() is None, running.stdout.read()  # type: ignore[union-attr]
        time.sleep(0.1)
    began = time.monotonic()
    os.kill(int((folder / "reached").read_text()), signal.SIGKILL)
    running.wait(90)
    return running, time.monotonic() - began


def command(launcher: str, processes: int) -> list[str]:
    words = ["fit", *COMMON, *WORDS.split(), "--trainer.max_epochs", "2", "--run", "r", "--seed_everything", "1"]
    words += ["--trainer.devices", str(processes), "--experiment", "e", "--figures", "false"]
    if launcher == "lightning":
        return [sys.executable, "-m", "experiments", *words]
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return [sys.executable, *start, "-m", "--", "experiments", *words]  # or torchrun takes --run for one of its own


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": PYTHONPATH, "OMP_NUM_THREADS": "1"}
