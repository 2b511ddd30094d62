"""Runs as processes of this machine, several side by side."""

import os
import shlex
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

from typing_extensions import override

from experiments.sweep import config_check
from experiments.sweep.grid import Run
from experiments.sweep.run_server import ForkedRun, RunServer
from experiments.sweep.scheduler import POLL_SECONDS, Launcher
from experiments.sweep.sweep_directory import Folder

Process = subprocess.Popen[bytes] | ForkedRun

RUN = "import evenhand, experiments.sweep.run_process as process; process.main()"
"""Program of a run's process; ``import evenhand`` finds this package in a folder with another ``experiments`` too."""


class Local(Launcher):
    """Launcher of processes, which share the machine's cores and GPUs."""

    def __init__(self, jobs: int = 1) -> None:
        super().__init__(jobs)
        self._jobs: dict[Process, int] = {}
        self._server: RunServer | None = None

    @override
    def start(self, run: Run, folder: Folder) -> None:
        job = next(job for job in count() if job not in self._jobs.values())
        environment = {**os.environ, **job_environment(job, self.jobs or 1)}
        start = self._fork if sys.platform == "linux" else start_process  # torch is not safe to fork elsewhere
        process = start(run, folder.log(run.name), environment)
        self.tasks[process], self._jobs[process] = run, job

    @override
    def check(self, folder: Path) -> int:
        if sys.platform != "linux":
            return super().check(folder)
        environment = {**os.environ, **job_environment(0, self.jobs or 1)}
        try:
            forked = self._of_server(environment).fork([str(folder)], None, environment, config_check.__name__)
        except BrokenPipeError:
            self._server = None
            return super().check(folder)
        while forked.poll() is None:
            time.sleep(POLL_SECONDS)
        assert forked.returncode is not None
        return forked.returncode

    def _fork(self, run: Run, log: Path, environment: dict[str, str]) -> "Process":
        begin_log(run, log)
        try:
            return self._of_server(environment).fork(list(run.words), log, environment)
        except BrokenPipeError:  # somebody killed it
            self._server = None
            return start_process(run, log, environment)

    def _of_server(self, environment: dict[str, str]) -> RunServer:
        if self._server is None:
            self._server = RunServer(environment)
        return self._server

    @override
    def close(self) -> None:
        super().close()
        if self._server is not None:
            self._server.close()

    @override
    def ended(self) -> list[tuple[Run, int]]:
        over = [process for process in self.tasks if process.poll() is not None]
        for process in over:
            del self._jobs[process]
        return [(self.tasks.pop(process), process.returncode) for process in over]

    @override
    def stop(self, run: Run) -> None:
        for process, other in self.tasks.items():
            if other == run:
                process.send_signal(signal.SIGTERM)


def start_process(run: Run, log: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    """Starts the process of a run, which ends with the thread that calls this.

    It is a session of its own: Ctrl-C on the terminal reaches the sweep alone, which stops its runs.
    """
    begin_log(run, log)
    with log.open("a") as output:
        words = [sys.executable, "-c", RUN, str(os.getpid()), *run.words]
        return subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
        )


def begin_log(run: Run, log: Path) -> None:
    """Appends the command of a run to its log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as output:
        output.write(f"$ evenhand {shlex.join(run.words)}\n")


def job_environment(job: int, jobs: int) -> dict[str, str]:
    """Returns the environment variables that give one of several jobs its cores and GPUs, unless they are set."""
    if jobs == 1:
        return {}
    variables: dict[str, str] = {}
    if "OMP_NUM_THREADS" not in os.environ:
        variables["OMP_NUM_THREADS"] = str(max(1, len(os.sched_getaffinity(0)) // jobs))
    gpus = visible_gpus()
    if gpus:
        share = max(1, len(gpus) // jobs)
        first = job * share % len(gpus)  # more jobs than GPUs share them
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(gpus[first : first + share])
    return variables


def visible_gpus() -> list[str]:
    """Returns the ids of the NVIDIA GPUs that a process here would see, without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [gpu for gpu in visible.split(",") if gpu not in ("", "-1")]
    try:  # the driver's own list has GPUs that a container does not have
        listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(index) for index, line in enumerate(listed.stdout.splitlines()) if line.startswith("GPU ")]
