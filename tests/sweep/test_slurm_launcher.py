"""``evenhand sweep --slurm`` with stand-ins for SLURM's commands; ``test_slurm_cluster.py`` has a cluster."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from platform import node

import pytest
import stand_in_slurm
from conftest import Fit
from paths import PYTHONPATH

from experiments.__main__ import main
from experiments.run.record.run_lock import acquire, release
from experiments.sweep.grid import Run
from experiments.sweep.progress_display import Display
from experiments.sweep.run_result import Outcome, last_line
from experiments.sweep.scheduler import Listed, work
from experiments.sweep.sweep_directory import Folder
from lit_models import ConfigError

pytest.importorskip("submitit", reason="this test needs submitit; pip install '.[slurm]' in the checkout")

from experiments.sweep import slurm_launcher

PROGRAM = slurm_launcher.JOB

TINY = ["--trust", "tiny_package", "--data", "Tiny", "--data.batch_size", "10", "--figures", "false"]
RECORDS = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
folder.mkdir(exist_ok=True)
(folder / "record.json").write_text(json.dumps({"status": sys.argv[2], "seconds": 0.0}))
sys.exit(int(sys.argv[3]))
"""
"""Stands for the program of a job, and leaves a record with a status and exits with a code."""


@pytest.fixture
def slurm(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the stand-ins for SLURM's commands, which are found by this process."""
    monkeypatch.setenv("PATH", stand_in_slurm.install(root / "slurm"))
    monkeypatch.setenv("PYTHONPATH", PYTHONPATH)
    monkeypatch.setattr(slurm_launcher, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(slurm_launcher, "JOB", RECORDS)
    return root / "slurm"


def swept(root: Path, *runs: Run, words: tuple[str, ...] = ()) -> list[Outcome]:
    """Outcomes of runs by a new launcher."""
    folder = Folder(root)
    return work(slurm_launcher.Slurm(words), Listed(folder, runs), folder, Display(folder, len(runs), 0))[0]


def test_a_run_in_a_job_is_that_of_a_process(
    slurm: Path, root: Path, fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm_launcher, "JOB", PROGRAM)
    words = [*TINY, "--model", "LitLinear", "--seed_everything", "3", "--trainer.max_epochs", "2"]
    here = ["--trainer.default_root_dir", str(root), "--experiment", "e", "--run", "a"]
    folder, run = Folder(root / "runs/e"), Run("a", "", ("fit", *words, *here))
    with folder.locked():
        launcher = slurm_launcher.Slurm(["partition=a b", "exclusive", "time=5"])
        (outcome,), _ = work(launcher, Listed(folder, [run]), folder, Display(folder, 1, 0))
    assert outcome.complete, outcome.error
    assert outcome.record["metrics"] == fit(*words[2:], "--experiment", "p")["metrics"]
    script = (slurm / "1.script").read_text()
    for line in ("partition='a b'", "exclusive", "time=5", "cpus-per-task=1", "signal=TERM@120"):
        assert f"#SBATCH --{line}\n" in script
    assert "gpus" not in script


def test_a_job_waits_for_the_process_that_is_at_its_run(root: Path) -> None:
    folder, path = Folder(root / "e"), root / "e/a"
    path.mkdir(parents=True)
    assert acquire(path) == ""
    job = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path), "fit", "--run", "a"], env={**os.environ, "PYTHONPATH": PYTHONPATH}
    )
    end = time.monotonic() + 100
    while "waiting for it" not in last_line(folder, "a"):
        assert time.monotonic() < end
        assert job.poll() is None
        time.sleep(0.05)
    (path / "record.json").write_text('{"status": "finished"}')
    release()
    assert job.wait(60) == 0
    lines = folder.log("a").read_text().splitlines()
    assert lines == [
        "$ evenhand fit --run a",
        f"the run is in progress in process {os.getpid()} on {node()}; waiting for it",
    ]


def test_a_result_that_came_with_the_folder_is_not_unpickled(
    slurm: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
            return os.system, (f"touch {root}/ran",)

    place = root / ".sweep/slurm/1_0_result.pkl"
    place.parent.mkdir(parents=True)
    place.write_bytes(pickle.dumps(Hostile()))
    folder, run = Folder(root), Run("a", "", ("finished", "0"))
    monkeypatch.setattr(slurm_launcher, "JOB", "import time; time.sleep(60)")
    slurm_launcher.Slurm([]).start(run, folder)
    monkeypatch.setattr(slurm_launcher, "JOB", RECORDS)
    launcher = slurm_launcher.Slurm([])  # takes the first job over
    stand_in_slurm.lose(slurm, 1, "NODE_FAIL")
    (outcome,), _ = work(launcher, Listed(folder, [run]), folder, Display(folder, 1, 0))
    assert outcome.complete  # by the second job
    assert not (root / "ran").exists()


def test_a_job_of_a_killed_sweep_is_taken_over(slurm: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, run = Folder(root), Run("a", "", ("finished", "0"))
    monkeypatch.setattr(slurm_launcher, "JOB", f"import time; time.sleep(3){RECORDS}")
    slurm_launcher.Slurm([]).start(run, folder)  # and no more of this launcher
    (outcome,) = swept(root, run)
    assert outcome.complete
    assert [path.name for path in slurm.glob("*.script")] == ["1.script"]


@pytest.mark.parametrize(
    ("state", "jobs", "message"),
    [("NODE_FAIL", 4, "SLURM job 4 is NODE_FAIL"), ("CANCELLED", 1, "SLURM job 1 is CANCELLED")],
)
def test_a_lost_job_is_started_again_and_a_cancelled_one_is_not(
    slurm: Path, root: Path, monkeypatch: pytest.MonkeyPatch, state: str, jobs: int, message: str
) -> None:
    monkeypatch.setattr(slurm_launcher, "JOB", "import time; time.sleep(60)")
    lost: list[int] = []

    def listed() -> dict[str, tuple[str, str]]:
        for job in range(len(lost) + 1, len(list(slurm.glob("*.group"))) + 1):
            stand_in_slurm.lose(slurm, job, state)
            lost.append(job)
        return listed_before()

    listed_before = slurm_launcher.listed
    monkeypatch.setattr(slurm_launcher, "listed", listed)
    (outcome,) = swept(root, Run("a", "", ()))
    assert len(lost) == jobs
    assert (outcome.code, outcome.complete) == (137 if state == "NODE_FAIL" else 143, False)
    assert message in outcome.error


def test_a_preempted_run_goes_on_in_another_job_and_one_that_failed_does_not(slurm: Path, root: Path) -> None:
    saved, wrong = Run("saved", "", ("interrupted", "143")), Run("wrong", "", ("failed", "2"))
    outcomes = swept(root, saved, wrong)
    assert {outcome.run.name: outcome.code for outcome in outcomes} == {"saved": 143, "wrong": 2}
    assert len(list(slurm.glob("*.script"))) == 4 + 1


def test_the_stop_of_a_sweep_cancels_its_jobs(slurm: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wait = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)); time.sleep(60)"
    monkeypatch.setattr(slurm_launcher, "JOB", wait)
    listed = slurm_launcher.listed

    def interrupting() -> dict[str, tuple[str, str]]:
        if len(list(slurm.glob("*.group"))) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return listed()

    monkeypatch.setattr(slurm_launcher, "listed", interrupting)
    folder, runs = Folder(root), [Run(name, "", ()) for name in "ab"]
    outcomes, stopped_by = work(slurm_launcher.Slurm([]), Listed(folder, runs), folder, Display(folder, 2, 0))
    assert stopped_by == signal.SIGINT
    assert [outcome.code for outcome in outcomes] == [143, 143]
    assert {path.read_text() for path in slurm.glob("*.state")} == {"CANCELLED"}


def test_a_job_requests_the_gpus_of_its_run_or_the_typed_ones(slurm: Path, root: Path) -> None:
    a, b = (Run(name, "", ("finished", "0"), cpus=6, gpus=2) for name in "ab")
    swept(root, a)
    swept(root, b, words=("gpus-per-task=1", "cpus-per-task=3"))
    first, second = ((slurm / f"{job}.script").read_text() for job in (1, 2))
    assert [line for line in ("gpus-per-node=2", "cpus-per-task=6") if f"--{line}\n" not in first] == []
    assert [line for line in ("gpus-per-task=1", "cpus-per-task=3") if f"--{line}\n" not in second] == []
    assert "gpus-per-node" not in second


@pytest.mark.parametrize("word", ["array=1-3", "--ntasks=2", "partition=", "-p", "Time=3"])
def test_options_that_a_sweep_cannot_have_are_refused(
    slurm: Path, capfd: pytest.CaptureFixture[str], word: str
) -> None:
    with pytest.raises(ConfigError, match=f"--slurm {word.partition('=')[0]}"):
        slurm_launcher.Slurm([word])


def test_a_cluster_that_does_not_answer_is_told_in_one_sentence(
    root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(root))
    with pytest.raises(SystemExit, match="2"):
        main(["sweep", *TINY, "--model", "LitLinear", "--slurm"])
    assert "error: --slurm: SLURM does not answer (" in capfd.readouterr().err
    (root / "squeue").write_text("#!/bin/sh\necho no controller >&2\nexit 1\n")
    (root / "squeue").chmod(0o755)
    with pytest.raises(SystemExit, match="2"):
        main(["sweep", *TINY, "--model", "LitLinear", "--slurm"])
    assert "error: --slurm: SLURM does not answer (no controller)" in capfd.readouterr().err
