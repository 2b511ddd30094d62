"""``evenhand serve`` as a process of its own, and requests to it."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy
import polars
from paths import PYTHONPATH

from experiments.__main__ import main

QUICKLY = ("--model", "LitMLP", "--model.hidden", "[8]", "--trainer.max_epochs", "2", "--seed_everything", "0")

STARTS = 240
"""Seconds in which a busy machine starts two processes, one of them with torch."""


class Server:
    """A server that runs.

    Args:
        process: Its first one.
        port: Of 127.0.0.1.
        first_line: That it printed.
    """

    def __init__(self, process: subprocess.Popen[str], port: int, first_line: str) -> None:
        self.process, self.port, self.first_line = process, port, first_line
        self.address = f"http://127.0.0.1:{port}"

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def ask(
        self, body: bytes | str | None = None, kind: str | None = "application/json", path: str = "/predict",
        method: str = "POST", **headers: str,
    ) -> tuple[int, str]:  # fmt: skip
        connection = self.connect()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, names | ({"Content-Type": kind} if kind is not None else {}))
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def rows(self, rows: Any) -> dict[str, Any]:
        """The answer to rows that can be predicted."""
        status, text = self.ask(json.dumps({"rows": rows}))
        assert status == 200, text
        return json.loads(text)

    def refusal(self, body: bytes | str, kind: str | None = "application/json", **more: str) -> tuple[int, str]:
        """Status and sentence of an answer that is an error."""
        status, text = self.ask(body, kind, **more)
        answer = json.loads(text)
        assert 400 <= status < 500, (status, text)
        assert {*answer} <= {"error", "bad"}
        assert len(answer["error"].splitlines()) == 1
        return status, answer["error"]

    def get(self, path: str) -> str:
        status, text = self.ask(path=path, method="GET", kind=None)
        assert status == 200, text
        return text

    def pids(self) -> list[int]:
        """Its processes."""
        found, grown = {self.process.pid}, True
        while grown:
            parents = {int(one.name): _parent(one) for one in Path("/proc").iterdir() if one.name.isdigit()}
            more = {pid for pid, parent in parents.items() if parent in found} - found
            grown = bool(more)
            found |= more
        return sorted(found)

    def memory(self) -> float:
        """Of all its processes, in MiB; what they share counts for each."""
        pages = 0
        for pid in self.pids():
            try:
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            except OSError:
                continue
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def stop(self, number: int = signal.SIGTERM) -> int:
        """The exit code."""
        self.process.send_signal(number)
        return self.process.wait(120)


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(run: Path, folder: Path, *words: str) -> Iterator[Server]:
    """Starts a server of a run and stops it at the end; it prints nothing but its line."""
    port = free_port()
    command = [sys.executable, "-m", "experiments", "serve", "--ckpt_path", str(run), "--port", str(port), *words]
    process = subprocess.Popen(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": PYTHONPATH}, text=True, stdout=subprocess.PIPE,
        stderr=(folder / "stderr.txt").open("w"),
    )  # fmt: skip
    watch = threading.Timer(STARTS, process.kill)
    watch.start()
    assert process.stdout is not None
    line = process.stdout.readline()
    watch.cancel()
    server = Server(process, port, line)
    pids = server.pids()
    try:
        assert line, (folder / "stderr.txt").read_text()
        yield server
        pids = server.pids()
    finally:
        if process.poll() is None:
            server.stop()
        end = time.monotonic() + 20
        while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < end:
            time.sleep(0.1)
        left = [pid for pid in pids if Path(f"/proc/{pid}").exists()]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    assert not left, "processes outlived the server"
    assert process.stdout.read() == ""
    assert (folder / "stderr.txt").read_text() == ""


def refused(*words: str) -> str:
    """Starts a server that must end with exit code 2, and returns its error message."""
    command = [sys.executable, "-m", "experiments", "serve", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 2, done
    assert done.stdout == ""
    return done.stderr


def trained(root: Path, *words: str) -> Path:
    """A run, of which the best checkpoint alone is left, elsewhere."""
    own = ("--figures", "false", "--trainer.default_root_dir", str(root), "--experiment", "e", "--run", "a")
    assert main(["fit", *words, *QUICKLY, *own]) == 0
    (root / "moved" / "checkpoints").mkdir(parents=True)
    shutil.copy(root / "runs" / "e" / "a" / "checkpoints" / "best.ckpt", root / "moved" / "checkpoints")
    shutil.rmtree(root / "runs")
    return root / "moved"


def same(answer: dict[str, Any], want: polars.DataFrame) -> None:
    """Raise unless an answer is what predict says, to 1e-6."""
    got = answer["predictions"]
    assert [one["row"] for one in got] == want["row"].to_list()
    assert [one["prediction"] for one in got] == want["prediction"].to_list()
    for name in (one for one in want.columns if one.startswith("probability_")):
        values = [one["probabilities"][name.removeprefix("probability_")] for one in got]
        assert numpy.abs(numpy.array(values) - want[name].to_numpy()).max() < 1e-6
