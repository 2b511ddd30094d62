"""The process of a run in its SLURM job, with the words ``FOLDER fit ...``; FOLDER is that of the run."""

import os
import runpy
import sys
import time
from pathlib import Path

from experiments.run.record.run_lock import acquire
from experiments.sweep.grid import Run
from experiments.sweep.local_launcher import begin_log
from experiments.sweep.run_process import tie_to
from experiments.sweep.run_result import COMPLETE
from experiments.sweep.sweep_directory import Folder
from experiments.terminal import say


def main() -> None:
    """Runs as ``python -m evenhand fit ...``, once no other job has the run in progress.

    The job of a killed sweep may be at the run, or a machine that SLURM has lost; the run's lock tells.
    """
    tie_to(os.getppid())
    path, words = Path(sys.argv[1]), sys.argv[2:]
    folder = Folder(path.parent)
    _write_to(folder, Run(path.name, "", tuple(words)))
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        del os.environ[name]  # else Lightning expects SLURM to have started a process for each device
    reported = False
    while holder := acquire(path):
        if not reported:
            say(f"the run is {holder}; waiting for it")
        reported = True
        time.sleep(1)
    if folder.record(path.name).get("status") in COMPLETE:
        return
    sys.argv[:] = ["evenhand", *words]
    runpy.run_module("evenhand", run_name="__main__", alter_sys=True)


def _write_to(folder: Folder, run: Run) -> None:
    """Appends the output of this process to the run's log."""
    begin_log(run, folder.log(run.name))
    log = os.open(folder.log(run.name), os.O_WRONLY | os.O_APPEND)
    for number in (1, 2):
        os.dup2(log, number)
