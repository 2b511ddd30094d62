"""Runs as jobs of a SLURM cluster, whose machines share the folder of the runs.

A job outlives a killed sweep. The next sweep finds it by its name, so that no ids are stored, and waits for it.
"""

import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from typing_extensions import override

from experiments.sweep.grid import Run
from experiments.sweep.scheduler import Launcher
from experiments.sweep.sweep_directory import Folder
from lit_models.errors import ConfigError

try:
    from submitit import SlurmExecutor, SlurmJob
    from submitit.core.utils import FailedJobError, UncompletedJobError
except ImportError as error:
    raise ConfigError("--slurm needs submitit; pip install '.[slurm]' in the checkout") from error

JOB = "import evenhand, experiments.sweep.slurm_job as job; job.main()"
"""Program of a job; ``import evenhand`` finds this package in a folder with another ``experiments`` too."""

MOST_STARTS = 4
"""Of a run whose jobs are lost, preempted or out of time, in one sweep; Ray starts a task as often."""

POLL_SECONDS = 5.0
"""Between two questions to SLURM's controller, which all users share."""

SIGNAL = "TERM@120"
"""SIGTERM two minutes before the time limit, at which the run saves; typed ``signal`` replaces it."""

FINAL = ("CANCELLED", "DEADLINE", "OUT_OF_MEMORY")
"""States after which another job of the run would be against the user's will, or end in the same way."""

OVER = (*FINAL, "BOOT_FAIL", "COMPLETED", "FAILED", "NODE_FAIL", "PREEMPTED", "REVOKED", "TIMEOUT")
"""States of a job that SLURM does not continue."""

OF_THE_SWEEP = ("array", "error", "job_name", "nodes", "ntasks", "ntasks_per_node", "output")
"""Options of ``sbatch`` that the sweep sets: a job is one process, which starts those of further devices itself."""


@dataclass(eq=False)
class Job:
    """The SLURM job of a run."""

    run: Run
    folder: Folder
    job: SlurmJob[int]
    starts: int = 1
    is_stopped: bool = False  # by the sweep
    is_awaited: bool = False  # it is over, and its result may still be on the way over a network disk

    def code(self) -> int | None:
        """Returns the exit code of the run, minus the signal that killed it; None if the job left none."""
        if not self.job.paths.result_pickle.exists():
            return None
        try:
            return self.job.result()
        except (FailedJobError, UncompletedJobError):
            return None

    def note(self, text: str) -> None:
        """Appends a line to the log of the run."""
        with self.folder.log(self.run.name).open("a") as log:
            log.write(f"{text}\n")


class Slurm(Launcher):
    """Launcher of SLURM jobs, all at once or at most ``jobs``; SLURM queues those without room.

    Args:
        words: Long options of ``sbatch`` without dashes, as ``partition=gpu`` or ``exclusive``.
        jobs: Most jobs at once; None for any number.

    Raises:
        ConfigError: For options that cannot be used, or where SLURM does not answer.
    """

    def __init__(self, words: Sequence[str], jobs: int | None = None) -> None:
        super().__init__(jobs)
        self.options = parse_options(words)
        try:
            self._earlier = {name: number for number, (state, name) in listed().items() if state not in OVER}
        except (OSError, subprocess.SubprocessError) as error:
            reason = getattr(error, "stderr", None) or error
            raise ConfigError(f"--slurm: SLURM does not answer ({' '.join(str(reason).split())[:200]})") from error
        self._polled = -math.inf

    @override
    def start(self, run: Run, folder: Folder) -> None:
        earlier = self._earlier.pop(job_name(folder, run), None)
        job = self._submit(run, folder) if earlier is None else SlurmJob[int](executor_of(folder).folder, earlier)
        self.tasks[Job(run, folder, job)] = run

    @override
    def ended(self) -> list[tuple[Run, int]]:
        if not self.tasks or time.monotonic() < self._polled + POLL_SECONDS:
            return []
        self._polled = time.monotonic()
        try:
            states = listed()
        except (OSError, subprocess.SubprocessError):  # the controller is busy or being started again
            return []
        over = []
        for job in [*self.tasks]:
            state, _ = states.get(job.job.job_id, ("gone", ""))  # SLURM forgets a job minutes after its end
            if state in (*OVER, "gone") and (code := self._conclude(job, state)) is not None:
                over.append((self.tasks.pop(job), code))
        return over

    @override
    def stop(self, run: Run) -> None:
        for job, other in self.tasks.items():
            if other == run:
                job.is_stopped = True
                job.job.cancel(check=False)
        self._polled = -math.inf

    @override
    def close(self) -> None:
        for job in self.tasks:  # left by an error of the sweep
            job.job.cancel(check=False)
        super().close()

    def _conclude(self, job: Job, state: str) -> int | None:
        """Returns the exit code of a job that is over; None if it is awaited, or was started again."""
        code = job.code()
        if code is None and not job.is_awaited:
            job.is_awaited = True
            return None
        is_lost = code in (None, -signal.SIGTERM, 128 + signal.SIGTERM) and state not in FINAL
        if is_lost and not job.is_stopped and job.starts < MOST_STARTS:
            job.note(f"SLURM job {job.job.job_id} is {state}; the run is started again")
            job.job, job.starts, job.is_awaited = self._submit(job.run, job.folder), job.starts + 1, False
            return None
        if code is None and not job.is_stopped:
            job.note(f"error: SLURM job {job.job.job_id} is {state}; its own output is {job.job.paths.stderr}")
        if code is None:
            return -signal.SIGTERM if job.is_stopped or state == "CANCELLED" else -signal.SIGKILL
        return code

    def _submit(self, run: Run, folder: Folder) -> SlurmJob[int]:
        """Submits a job for a run.

        Raises:
            ConfigError: If SLURM refuses it.
        """
        options: dict[str, object] = {"cpus_per_task": run.cpus, "signal": SIGNAL}
        if run.gpus and not any("gpu" in key or key == "gres" for key in self.options):
            options["gpus_per_node"] = run.gpus
        executor = executor_of(folder)
        # Without submitit's own defaults, among them a limit of five minutes.
        executor.update_parameters(time=None, wckey=None, job_name=job_name(folder, run))
        executor.update_parameters(additional_parameters=options | self.options)
        words = [sys.executable, "-c", JOB, str(folder.path.absolute() / run.name), *run.words]
        try:
            job = executor.submit(subprocess.call, words)
        except (OSError, FailedJobError) as error:
            reason = " ".join(str(error).split())[-300:]
            raise ConfigError(f"--slurm: sbatch does not take {run.name}: {reason}") from error
        # A result that is there already came with the folder: it is a pickle, and reading it would run its code.
        job.paths.result_pickle.unlink(missing_ok=True)
        return job  # type: ignore[return-value]  # a Job of the executor's kind


def parse_options(words: Sequence[str]) -> dict[str, object]:
    """Parses ``partition=gpu``, ``gpus-per-node=1`` and ``exclusive`` into options of ``sbatch``.

    Raises:
        ConfigError: For anything else, and for an option that the sweep sets.
    """
    options: dict[str, object] = {}
    for word in words:
        name, equals, value = word.partition("=")
        key = name.removeprefix("--").replace("-", "_")
        if not re.fullmatch(r"[a-z][a-z_]*", key) or (equals and not value):
            raise ConfigError(f"--slurm {word} is no long option of sbatch; write partition=gpu time=4:00:00 mem=16G")
        if key in OF_THE_SWEEP:
            raise ConfigError(f"--slurm {name} is set by the sweep, whose jobs are one process each; leave it out")
        options[key] = value if equals else True
    return options


def job_name(folder: Folder, run: Run) -> str:
    """Returns the name of a run's job, which no run of another folder has."""
    return f"{run.name}-{sha256(os.fsencode(folder.path.absolute())).hexdigest()[:8]}"


def executor_of(folder: Folder) -> SlurmExecutor:
    """Returns submitit's executor, with its files in the folder of a sweep.

    Raises:
        RuntimeError: Without SLURM's ``srun`` on this machine.
    """
    return SlurmExecutor(folder.path.absolute() / ".sweep" / "slurm")


def listed() -> dict[str, tuple[str, str]]:
    """Returns state and name of the jobs of this user, by their ids; also of those that have just ended.

    ``sacct``, which submitit has for it, needs a data base that not every cluster has.

    Raises:
        OSError: Without SLURM's commands on this machine.
        subprocess.SubprocessError: If the controller does not answer.
    """
    words = ["squeue", "--noheader", "--states=all", f"--user={os.getuid()}", "--format=%i|%T|%j"]
    lines = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    return {number: (state, name) for number, state, name in (line.split("|", 2) for line in lines if "|" in line)}
