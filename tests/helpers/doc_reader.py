"""Runs a page's commands as calls of ``main``, with options added that make them short."""

import contextlib
import os
import subprocess
import sys
import time
import urllib.request
from itertools import pairwise
from pathlib import Path

import pytest
from doc_pages import ELSEWHERE, REPOSITORY, bare, words_of
from fork_server import server
from server_process import free_port

from experiments.__main__ import main
from experiments.cli.arguments import find_packaged_configs
from experiments.compare.published_table_file import read_paper
from experiments.sweep.grid import parse_grid

QUICK = {"--trainer.max_epochs": "2", "--trainer.limit_train_batches": "3", "--figures": "false"}
FETCHED = {"adult": "widedeep", "UEA": "sktime", "ucr": "sktime"}


def of_processes(words: list[str]) -> bool:
    """Returns True if the command starts several processes."""
    return words[0] == "torchrun" or any(
        name == "--trainer.devices" and number != "1" for name, number in pairwise(words)
    )


class Reader:
    """Runs the commands of one page.

    Args:
        leaves: Whether to leave servers and requests to another test.
        request: Provides the fixtures of data that are fetched.
        page: The text of the page.
    """

    def __init__(self, leaves: bool, request: pytest.FixtureRequest, page: str) -> None:
        self.leaves = leaves
        self.request = request
        self.page = page
        self.variables: dict[str, str] = {}
        self.missing: list[str] = []

    def run(self, command: str) -> None:
        """Runs one line, unless it is listed as run elsewhere or its data are missing."""
        if bare(command) in ELSEWHERE:
            return
        words, file = words_of(command, self.variables)
        if len(words) == 1 and words[0].partition("=")[0].isupper():
            name, _, self.variables[name] = words[0].partition("=")
        elif of_processes(words):
            self.call(*words[words.index("fit") :], "--print_config", file=os.devnull)
        elif "killed" in command:
            killed(words[1:])
        elif words[0] == "evenhand" and not self.has_data(command):
            self.missing.append(command)
        elif words[0] == "evenhand" and words[1] != "serve":
            self.call(*self.shorter(words[1:]), *shortening(words[1], words[2:]), file=file)
        elif words[0] == "evenhand" and not self.leaves:
            answers(words[1:])
        else:
            assert words[0] in ("evenhand", "curl"), (
                f"{command} is neither run nor listed in tests/helpers/doc_pages.py"
            )
            assert self.leaves, f"{command} asks a server that only tests/test_wheel.py starts"

    def shorter(self, words: list[str]) -> list[str]:
        """Returns a command with fewer values in a grid and fewer epochs of a run that goes on.

        A grid keeps two values. One over configuration files keeps a single one where the page does not compare its
        runs; tests/configs/test_option_sweeps.py reads all of them.
        """
        named = dict(pairwise(words))
        kept = 2 if f"evenhand compare runs/{named.get('--experiment')}" in self.page else 1
        short = [*words]
        for option, (index, word) in zip(words, enumerate(words[1:], start=1), strict=False):
            if option in ("--grid", "--each"):
                ((key, values),) = parse_grid([word]).items()
                short[index] = f"{key}={','.join(values[: kept if key == 'config' else 2])}"
        if words[0] == "fit" and is_resume(words) and "--trainer.max_epochs" in words:
            index = words.index("--trainer.max_epochs") + 1
            short[index] = str(int(words[index]) // 10)
        return short

    def has_data(self, command: str) -> bool:
        """Returns True if the data of the command are cached or can be fetched."""
        try:
            for name in FETCHED:
                if name in command:
                    self.request.getfixturevalue(FETCHED[name])
        except pytest.skip.Exception:
            return False
        return True

    def call(self, *words: str, file: str) -> None:
        """Calls ``main`` in place of a process, with its output in the file."""
        with contextlib.ExitStack() as stack:
            if file:
                stack.enter_context(contextlib.redirect_stdout(stack.enter_context(Path(file).open("w"))))
            try:
                code: object = main([*words])
            except SystemExit as stopped:
                code = stopped.code
        assert not code, words


def is_resume(words: list[str]) -> bool:
    """Returns True if the words name no data, so that a run has them."""
    return not {"-c", "--data", "--paper"} & {*words}


def shortening(verb: str, words: list[str]) -> list[str]:
    """Returns options that make a command take a second or two."""
    if verb not in ("fit", "sweep") or is_resume(words) or "--model.help" in words:
        return []
    if "--print_config" in words:  # runs of the file go on to a tenth of the epochs that the page says
        return ["--trainer.max_epochs", "6", "--figures", "false"]
    quick = [word for setting in QUICK.items() for word in setting]
    if verb == "fit":
        return quick
    few = {"--resplit": "1", "--trials": "2", "--folds": "2"}
    seeds = "0..1" if "together" in words else "0"  # two, whose mean the page shows
    quick += ["--seeds", seeds, *(word for name, value in few.items() if name in words for word in (name, value))]
    if "--paper" in words:
        paper = read_paper(Path(*find_packaged_configs([words[words.index("--paper") + 1]])))
        quick += ["--rows", paper.rows[0].name]
    return quick


def killed(words: list[str]) -> None:
    """Starts a process, and kills it once it has saved a checkpoint."""
    last = f"runs/*/{words[words.index('--run') + 1]}/checkpoints/last.ckpt"
    with server() as running:
        child = running.start(words, Path.cwd())
        end = time.monotonic() + 60
        while not [*Path().glob(last)]:
            assert time.monotonic() < end, child.output.read_text()
            time.sleep(0.002)
        child.kill()


def answers(words: list[str]) -> None:
    """Starts a server in a process of its own, and waits until it is healthy."""
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "experiments", *words, "--port", str(port)]
    server = subprocess.Popen(command, env=environment)
    try:
        for _ in range(240):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as response:
                    assert response.status == 200
                return
            except OSError:
                assert server.poll() is None
                time.sleep(0.5)
        pytest.fail("the server does not answer")
    finally:
        server.terminate()
        server.wait(60)
