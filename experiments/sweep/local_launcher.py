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
    """At most ``jobs`` processes, the machine's cores and GPUs divided among them.

    Args:
        jobs: How many.
    """

    def __init__(self, jobs: int = 1) -> None:
        self.jobs = jobs
        self._processes: dict[int, tuple[Run, subprocess.Popen[bytes]]] = {}

    def has_room(self) -> bool:
        """Whether one of the places is free."""
        return len(self._processes) < self.jobs

    def start(self, run: Run, folder: Folder) -> None:
        """Start it in the first free place."""
        place = next(place for place in range(self.jobs) if place not in self._processes)
        environment = {**os.environ, **share(place, self.jobs)}
        self._processes[place] = (run, start(run, folder.log(run.name), environment))

    def running(self) -> list[Run]:
        """Those in their places."""
        return [run for run, _ in self._processes.values()]

    def ended(self) -> list[tuple[Run, int]]:
        """Those whose place is free again."""
        done = {place: code for place, (_, one) in self._processes.items() if (code := one.poll()) is not None}
        return [(self._processes.pop(place)[0], code) for place, code in done.items()]

    def stop(self, run: Run) -> None:
        """SIGTERM."""
        for one, process in self._processes.values():
            if one == run:
                process.send_signal(signal.SIGTERM)


def start(run: Run, log: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    """The process of a run, which ends with the thread that calls this.

    It is a session of its own: Ctrl-C on the terminal reaches the sweep alone, which tells its runs.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as output:
        output.write(f"$ evenhand {shlex.join(run.words)}\n")
        output.flush()
        words = [sys.executable, "-m", "experiments.sweep.run_process", str(os.getpid()), *run.words]
        return subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
        )


def share(place: int, jobs: int) -> dict[str, str]:
    """The environment of one of several jobs: its part of the cores and of the GPUs, unless somebody chose.

    Args:
        place: Which job, from 0.
        jobs: How many there are.
    """
    if jobs == 1:
        return {}
    shared: dict[str, str] = {}
    if "OMP_NUM_THREADS" not in os.environ:
        shared["OMP_NUM_THREADS"] = str(max(1, len(os.sched_getaffinity(0)) // jobs))
    gpus = visible_gpus()
    each = max(1, len(gpus) // jobs)
    if gpus:
        first = place * each % len(gpus)  # more jobs than GPUs share them
        shared["CUDA_VISIBLE_DEVICES"] = ",".join(gpus[first : first + each])
    return shared


def visible_gpus() -> list[str]:
    """The ids of NVIDIA's GPUs that a process here would see, without asking torch."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [one for one in chosen.split(",") if one not in ("", "-1")]
    try:  # the driver's own list also knows GPUs that a container does not have
        listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(index) for index, line in enumerate(listed.stdout.splitlines()) if line.startswith("GPU ")]
