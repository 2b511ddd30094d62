"""``evenhand sweep --slurm`` on a cluster of two machines that are simulated on this one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from in_process_sweep import records
from paths import PYTHONPATH
from slurm_cluster import Cluster, cluster, missing

pytest.importorskip("submitit", reason="this test needs submitit; pip install '.[slurm]' in the checkout")

TINY = ["--trust", "tiny_package", "--data", "Tiny", "--data.batch_size", "10", "--figures", "false"]


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("slurm")) as running:
        yield running


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(bool(missing()), reason="needs Debian's packages slurm-wlm and munge; make test-slurm")
def test_killed_sweeps_and_lost_jobs_change_no_row(machines: Cluster) -> None:
    sweep = Sweep(machines, "jobs", "--slurm", "time=20")
    sweep.until(lambda: len(sweep.checkpoints()) == 3)
    sweep.process.send_signal(signal.SIGINT)
    assert sweep.process.wait(120) == 130, sweep.printed()
    assert sweep.statuses() == ["interrupted"] * 3
    assert not machines.ask("squeue", "--noheader")

    sweep.start("begin=now+20")
    sweep.until(lambda: len(sweep.jobs()) == 3)
    sweep.process.kill()
    sweep.process.wait()
    assert set(sweep.jobs().values()) == {"PENDING"}
    first, second, third = sweep.jobs()
    sweep.start()
    sweep.until(lambda: sweep.statuses() == ["running"] * 3)
    os.kill(machines.process(first, 0), signal.SIGKILL)
    machines.ask("scontrol", "requeue", second)
    assert sweep.process.wait(400) == 0, sweep.printed()
    submitted = {int(path.name.partition("_")[0]) for path in sweep.folder.glob(".sweep/slurm/*_submitted.pkl")}
    assert len(submitted) == 3 + 3 + 1
    assert {int(first), int(second), int(third)} < submitted

    local = Sweep(machines, "processes")
    assert local.process.wait(400) == 0, local.printed()
    made, expected = sweep.records(), local.records()
    assert [record["status"] for record in made.values()] == ["finished"] * 3
    assert {name: record["metrics"] for name, record in made.items()} == {
        name: record["metrics"] for name, record in expected.items()
    }
    assert sweep.looks() == local.looks()
    assert sweep.table() == local.table() != []


class Sweep:
    """A sweep in a process of its own that runs beside the test."""

    def __init__(self, machines: Cluster, experiment: str, *words: str) -> None:
        self.machines, self.folder = machines, machines.folder / "runs" / experiment
        self.words = ["sweep", *TINY, "--model", "LitMLP", "--seeds", "0..2", "--experiment", experiment]
        self.words += ["--trainer.max_epochs", "100", "--trainer.callbacks", "null", *words]
        self.output = machines.folder / f"{experiment}.txt"
        self.start()

    def start(self, *more: str) -> None:
        environment = {**self.machines.environment(), "PYTHONPATH": PYTHONPATH}
        with self.output.open("ab") as output:
            line = [sys.executable, "-m", "evenhand", *self.words, *more]
            self.process = subprocess.Popen(
                line, cwd=self.machines.folder, stdout=output, stderr=output, env=environment
            )

    def until(self, condition: Callable[[], object]) -> None:
        end = time.monotonic() + 300
        while not condition():
            assert self.process.poll() is None, self.printed()
            assert time.monotonic() < end, self.printed()
            time.sleep(0.05)

    def printed(self) -> str:
        return self.output.read_text()

    def checkpoints(self) -> list[Path]:
        return list(self.folder.glob("*/checkpoints/last.ckpt"))

    def records(self) -> dict[str, dict[str, Any]]:
        return records(self.machines.folder, self.folder.name)

    def statuses(self) -> list[str]:
        return [record["status"] for record in self.records().values()]

    def jobs(self) -> dict[str, str]:
        """States of the jobs that are not over, by their ids."""
        lines = self.machines.ask("squeue", "--noheader", "--sort=i", "--format=%i %T").splitlines()
        return dict(line.split() for line in lines)

    def looks(self) -> list[dict[str, Any]]:
        lines = [json.loads(path.read_text()) for path in sorted(self.folder.glob("*/test_looks.jsonl"))]
        return [{name: value for name, value in look.items() if name not in ("time", "experiment")} for look in lines]

    def table(self) -> list[list[str]]:
        """Rows of the last table that the sweep has printed, without its last column, the seconds."""
        lines = self.printed().rpartition("──")[2].partition("\n\n")[0].splitlines()
        return [line.split()[:-1] for line in lines]
