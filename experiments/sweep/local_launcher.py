"""Runs as processes of this machine, several side by side."""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from experiments.sweep.grid import Run
from experiments.sweep.sweep_directory import Folder


class Local:
    """Launcher of at most ``jobs`` processes, which share the machine's cores and GPUs; see ``scheduler.Launcher``."""

    def __init__(self, jobs: int = 1) -> None:
        self.jobs = jobs
        self._processes: dict[int, tuple[Run, subprocess.Popen[bytes]]] = {}

    def has_room(self) -> bool:
        """Returns True if fewer than ``jobs`` processes run."""
        return len(self._processes) < self.jobs

    def start(self, run: Run, folder: Folder) -> None:
        """Starts a run as the first free job."""
        job = next(job for job in range(self.jobs) if job not in self._processes)
        environment = {**os.environ, **job_environment(job, self.jobs)}
        self._processes[job] = (run, start_process(run, folder.log(run.name), environment))

    def running(self) -> list[Run]:
        """Returns the runs in progress."""
        return [run for run, _ in self._processes.values()]

    def ended(self) -> list[tuple[Run, int]]:
        """Returns the runs that ended since the last call, with their return codes."""
        codes = {job: code for job, (_, process) in self._processes.items() if (code := process.poll()) is not None}
        return [(self._processes.pop(job)[0], code) for job, code in codes.items()]

    def stop(self, run: Run) -> None:
        """Sends SIGTERM."""
        for other, process in self._processes.values():
            if other == run:
                process.send_signal(signal.SIGTERM)


def start_process(run: Run, log: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    """Starts the process of a run, which ends with the thread that calls this.

    It is a session of its own: Ctrl-C on the terminal reaches the sweep alone, which stops its runs.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as output:
        output.write(f"$ evenhand {shlex.join(run.words)}\n")
        output.flush()
        words = [sys.executable, "-m", "experiments.sweep.run_process", str(os.getpid()), *run.words]
        return subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
        )


def job_environment(job: int, jobs: int) -> dict[str, str]:
    """Returns the environment variables that give one of several jobs its cores and GPUs, unless they are set."""
    if jobs == 1:
        return {}
    variables: dict[str, str] = {}
    if "OMP_NUM_THREADS" not in os.environ:
        variables["OMP_NUM_THREADS"] = str(max(1, len(os.sched_getaffinity(0)) // jobs))
    gpus = visible_gpus()
    if gpus:
        count = max(1, len(gpus) // jobs)
        first = job * count % len(gpus)  # more jobs than GPUs share them
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(gpus[first : first + count])
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
