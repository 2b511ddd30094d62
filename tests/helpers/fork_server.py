"""A process that has imported everything and forks a fresh one for each command line: seconds become tenths."""

import atexit
import io
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from forked_process import exit_with
from paths import PYTHONPATH


@dataclass
class Child:
    """A running command; ``pid`` is its own process, which signals can be sent to."""

    pid: int
    output: Path
    server: "Server"

    def wait(self) -> int:
        """Its exit code, or minus the signal that killed it."""
        return os.waitstatus_to_exitcode(self.server.ask({"wait": self.pid})["status"])

    def wait_for(self, file: Path, seconds: float = 60) -> None:
        """Until it wrote a file."""
        end = time.monotonic() + seconds
        while not file.exists():
            assert time.monotonic() < end, self.output.read_text()
            time.sleep(0.002)

    def kill(self) -> None:
        """As the kernel does when memory is short."""
        os.kill(self.pid, signal.SIGKILL)
        assert self.wait() == -signal.SIGKILL, self.output.read_text()

    def stop(self) -> int:
        """Kill it unless it is done; its exit code."""
        os.kill(self.pid, signal.SIGKILL)  # a zombie until the server waits for it
        return self.wait()


class Server:
    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": PYTHONPATH, "OMP_NUM_THREADS": "1"},
        )
        self._count = 0

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def start(self, words: list[str], folder: Path, outputs: Path | None = None, **env: str) -> Child:
        """``evenhand WORDS`` in a folder, with these environment variables; its output goes there or to ``outputs``."""
        self._count += 1
        output = (outputs or folder) / f"output-{self._count}.txt"
        output.touch()  # a child that is killed at once never opens it
        answer = self.ask({"words": words, "folder": str(folder), "env": env, "output": str(output)})
        return Child(answer["pid"], output, self)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(120)


@cache
def _started() -> Server:
    running = Server()
    atexit.register(running.close)
    return running


@contextmanager
def server() -> Iterator[Server]:
    """Gives the server that all tests of this process share, because its start costs as much as five small fits."""
    yield _started()


def _serve() -> None:
    import disturbed_runs  # noqa: F401
    import failing_writes  # noqa: F401
    import faults  # noqa: F401
    import in_process_sweep  # noqa: F401
    import torch  # noqa: F401

    from experiments.__main__ import main
    from experiments.cli import lightning_cli  # noqa: F401

    with redirect_stdout(io.StringIO()), suppress(SystemExit):  # leaves the parser that every fit has
        main(["fit", "--data", "MNIST1D", "--model", "LitMLP", "--print_config"])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        question = json.loads(line)
        if "wait" in question:
            answer = {"status": os.waitpid(question["wait"], 0)[1]}
        elif (pid := os.fork()) == 0:
            exit_with(partial(_run, question))
        else:
            answer = {"pid": pid}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _run(question: dict[str, Any]) -> int:
    import disturbed_runs
    import in_process_sweep
    import torch
    import write_failures

    torch.set_num_threads(1)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # a suite that nohup started would have it ignored
    os.environ.update(question["env"])
    os.chdir(question["folder"])
    file = os.open(question["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(0)
    writes = None
    try:
        if "HOST" in os.environ:
            disturbed_runs.rename_host(os.environ["HOST"])
        if "FILE_SIZE" in os.environ:  # holds for what other languages write too
            resource.setrlimit(resource.RLIMIT_FSIZE, 2 * (int(os.environ["FILE_SIZE"]),))
        if "START_AT" in os.environ:
            time.sleep(max(0.0, float(os.environ["START_AT"]) - time.time()))
        if "SWEEP_HERE" in os.environ:
            in_process_sweep.install()
        if "HOLD" in os.environ:
            return _hold(Path(os.environ["HOLD"]))
        if "BREAK_WRITE" in os.environ:
            writes = write_failures.install(int(os.environ["BREAK_WRITE"]), os.environ["BREAK_HOW"])
        if "FAIL_AT" in os.environ:
            import failing_writes

            failing_writes.install(int(os.environ["FAIL_AT"]), os.environ["FAIL_WITH"])
        from experiments.__main__ import main

        return main(question["words"])
    finally:
        if writes is not None and "WRITES" in os.environ:
            write_failures.report(writes, Path(os.environ["WRITES"]))


def _hold(run: Path) -> int:
    """Holds the lock of a run until it is killed or the run is taken over, with a heartbeat every 50 ms."""
    from experiments.run.record import run_lock

    run_lock.BEAT = 0.05
    run_lock.acquire(run)
    Path("locked").touch()
    time.sleep(60)
    return 0


if __name__ == "__main__":
    _serve()
