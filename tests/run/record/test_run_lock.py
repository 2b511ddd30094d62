"""The lock of a run on disks that lock within one machine only, or not at all: name and heartbeat decide."""

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from fork_server import server
from hostile_runs import refusal, train

from experiments.run.record import run_lock
from experiments.run.record.record_io import process, read_record

LOCK = Path("runs/e/.a.lock")
ELSEWHERE = {"host": "node7", "pid": 7, "began": "another-boot 1"}
WORDS = ("fit", "--run", "a", "--experiment", "e", "--trainer.max_epochs", "2")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trains a run that can be extended, in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_lock, "SETTLE", 0.01)
    train(tmp_path)


def hold(holder: dict[str, Any], age: float) -> None:
    """Leaves the lock of a process whose last heartbeat was ``age`` seconds ago."""
    LOCK.write_text(json.dumps(holder))
    os.utime(LOCK, (time.time() - age,) * 2)


def test_a_holder_on_another_machine_counts_as_gone_once_its_heartbeat_is_old(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Both machines may have locked the file, on a disk whose locks hold within a machine."""
    hold(ELSEWHERE, age=30)
    message = refusal(capfd, *WORDS)
    assert "in progress in process 7 on node7, which cannot be asked from here" in message
    assert re.search(r"a sign of life \d\d s ago; without one for 120 s it is taken over", message)
    hold(ELSEWHERE, age=130)
    train(tmp_path, "--trainer.max_epochs", "2")
    assert read_record(Path("runs/e/a"))["epochs"] == 2
    assert not LOCK.exists()


def test_a_container_of_the_same_machine_is_not_waited_for(tmp_path: Path) -> None:
    """Its host has another name, and the kernel that holds the lock is the same."""
    hold({"host": "node7", "pid": 7, "began": process(os.getpid())["began"]}, age=0)
    train(tmp_path, "--trainer.max_epochs", "2")


def test_without_locks_the_process_itself_is_asked(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(run_lock, "fcntl", None)
    hold(process(os.getppid()), age=999)
    assert f"in progress in process {os.getppid()} on " in refusal(capfd, *WORDS)
    hold(process(os.getppid()) | {"began": "before it 1"}, age=0)
    train(tmp_path, "--trainer.max_epochs", "2")


def test_a_file_that_names_nobody_counts_by_its_age(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its maker has not written its name yet, or never will."""
    monkeypatch.setattr(run_lock, "fcntl", None)
    LOCK.touch()
    assert "in progress in process ? on another machine" in refusal(capfd, *WORDS)
    os.utime(LOCK, (time.time() - 130,) * 2)
    train(tmp_path, "--trainer.max_epochs", "2")


def test_a_process_that_slept_leaves_the_run_to_the_one_that_took_it_over() -> None:
    with server() as forks:
        holder = forks.start([], Path.cwd(), HOLD="runs/e/a")
        holder.wait_for(Path("locked"))
        hold(json.loads(LOCK.read_text()), age=130)
        end = time.monotonic() + 30
        while time.time() - LOCK.stat().st_mtime > 60:
            assert time.monotonic() < end, "no heartbeat"
            time.sleep(0.01)
        LOCK.write_text(json.dumps(ELSEWHERE))
        assert holder.wait() == 2
        assert "was taken over by another process" in holder.output.read_text()
