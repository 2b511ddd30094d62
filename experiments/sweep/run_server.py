"""Runs forked from one process that has imported torch, which takes each of them seconds of its own.

A run is as one that ``run_process`` starts: the same words, environment and log, in a session of its own that ends with
the sweep.
"""

import gc
import json
import os
import runpy
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.sweep.run_process import tie_to

SERVER = "import evenhand, experiments.sweep.run_server as server; server.main()"
"""Program of the process; ``import evenhand`` finds this package in a folder with another ``experiments`` too."""


class RunServer:
    """The process that forks, from the sweep's side; it ends with this object.

    Args:
        environment: Variables that are read while torch is imported, as OMP_NUM_THREADS.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        words = [sys.executable, "-c", SERVER, str(os.getpid())]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
        )

    def fork(
        self, words: list[str], log: Path | None, environment: dict[str, str], module: str = "evenhand"
    ) -> "ForkedRun":
        """Starts a run, or another module as a program, whose output is appended to the log or, without one, printed.

        Raises:
            BrokenPipeError: If the process was killed.
        """
        path = None if log is None else str(log.absolute())
        pid = self.answer({"words": words, "log": path, "environment": environment, "module": module})
        if pid is None:
            raise BrokenPipeError
        return ForkedRun(self, pid)

    def answer(self, request: dict[str, Any]) -> Any:
        """Returns the answer to a request; None from a process that was killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            return None
        line = self._process.stdout.readline()
        return json.loads(line) if line else None

    def close(self) -> None:
        """Ends the process, and with it the runs that are left."""
        self._process.kill()
        self._process.communicate()


@dataclass(eq=False)
class ForkedRun:
    """A run of a server; as a ``Popen`` as far as a launcher needs one."""

    server: RunServer
    pid: int
    returncode: int | None = None

    def poll(self) -> int | None:
        """Returns the exit code, minus the signal that killed it, or None while it runs."""
        if self.returncode is None:
            ended = self.server.answer({"wait": self.pid})
            if ended is None:  # without its parent the run got SIGTERM
                self.returncode = -signal.SIGTERM
            elif ended:
                self.returncode = os.waitstatus_to_exitcode(ended[0])
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Sends a signal to the run."""
        if self.poll() is None:
            os.kill(self.pid, number)


def serve() -> dict[str, Any] | None:
    """Answers requests of the parent; returns None at their end, and in a forked process what it has to run."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what an import prints is no answer
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        answer: Any
        if "wait" in request:
            pid, status = os.waitpid(request["wait"], os.WNOHANG)
            answer = [status] if pid else []
        elif (answer := os.fork()) == 0:
            answers.close()
            return request
        print(json.dumps(answer), file=answers, flush=True)
    return None


def prepare(request: dict[str, Any], parent: int) -> None:
    """Makes a forked process that of a run."""
    os.setsid()
    tie_to(parent)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if request["log"] is not None:
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        for number in (1, 2):
            os.dup2(log, number)
    sys.argv[:] = ["evenhand", *request["words"]]


def main() -> None:
    """Serves the process that is named in ``sys.argv``; in a forked process, runs what was requested."""
    tie_to(int(sys.argv[1]))
    import numpy

    import experiments.cli.lightning_cli  # noqa: F401

    gc.freeze()  # the collections at a run's end, a third of a small one, leave out what all runs share
    server = os.getpid()
    if (request := serve()) is not None:
        prepare(request, server)
        numpy.random.seed()  # as in a new process; Python's own generator does so at a fork
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
