"""Every command of README.md and docs/ runs as it stands there, a page from top to bottom in one folder.

A page is followed in this process, each command with words behind it that make it short. In a process of its own, and
with nothing behind them, tests/test_wheel.py types the commands of the pages that it names.
"""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import yaml
from own_files import write_all
from pages import (
    ELSEWHERE,
    FOLLOWED,
    LANGUAGES,
    PAGES,
    REPOSITORY,
    Block,
    bare,
    blocks,
    every_command,
    lacking,
    words_of,
)
from serving import free_port
from sweeping import Calls, calls

from datamodules import MNIST1D
from experiments.__main__ import main
from experiments.packaged import resolve
from experiments.papers import read_paper

__all__ = ["calls"]

QUICK = {"--trainer.max_epochs": "2", "--trainer.limit_train_batches": "3", "--figures": "false"}
FETCHED = {"adult": "widedeep", "UEA": "sktime", "ucr": "sktime"}
LONG = [pytest.param(page, marks=[pytest.mark.slow] * (page.stem == "papers"), id=page.stem) for page in PAGES]


@pytest.mark.parametrize("page", LONG)
def test_a_page_can_be_followed(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    calls: Calls,
    request: pytest.FixtureRequest,
) -> None:
    write_all(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    every = MNIST1D().load()
    few = replace(every, x=every.x[::8], y=every.y[::8], test=torch.arange(500, 625))
    monkeypatch.setattr(MNIST1D, "load", lambda data: few)
    reader = Reader(page.stem in FOLLOWED, request)
    names: dict[str, object] = {}
    shown, before = "", Block("", "", "")
    for block in blocks(page):
        if block.file:
            monkeypatch.delitem(sys.modules, block.file.removesuffix(".py"), raising=False)
            (tmp_path / block.file).write_text(block.text)
        elif block.language == "python":
            exec(compile(block.text, page, "exec"), names)
        elif block.language == "yaml":
            assert yaml.safe_load(block.text)
        elif block.language in ("text", "json") and not before.elsewhere:
            shown += block.text
        for command in block.commands:
            reader.run(command)
        before = block
    if not reader.leaves:
        never = lacking(shown, capfd.readouterr().out)
        assert not never
    if reader.missing:
        pytest.skip(f"these need the network once: {reader.missing}")


def test_every_block_says_what_it_is() -> None:
    for page in PAGES:
        assert {block.language for block in blocks(page)} <= LANGUAGES, page
        indented = [line for line in page.read_text().splitlines() if line.startswith("    evenhand ")]
        assert not indented, f"{page} has a command outside of a fenced block: {indented}"


def test_what_the_readme_names_is_there() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    named = re.findall(r"!\[.*?\]\((.*?)\)", readme) + re.findall(r"experiments/configs/[\w/]+\.yaml", readme)
    for path in named + re.findall(r"\]\((docs/[^)#]+)", readme):
        assert (REPOSITORY / path).exists(), path


def test_what_is_not_run_is_still_there_and_what_needs_processes_is_on_a_page_that_has_them() -> None:
    commands = {command for _, command in every_command()}
    assert {*ELSEWHERE} <= commands
    followed = {command for page, command in every_command() if page.stem in FOLLOWED}
    assert {command for command in commands - {*ELSEWHERE} if _of_processes(shlex.split(command))} <= followed


def _of_processes(words: list[str]) -> bool:
    """Whether several processes work at it."""
    return words[0] == "torchrun" or any(
        name == "--trainer.devices" and number != "1" for name, number in pairwise(words)
    )


class Reader:
    """Who types a page's commands.

    Args:
        leaves: Whether to leave servers, and what asks them, to another test.
        request: Gives the fixtures of data that are fetched.
    """

    def __init__(self, leaves: bool, request: pytest.FixtureRequest) -> None:
        self.leaves = leaves
        self.request = request
        self.variables: dict[str, str] = {}
        self.missing: list[str] = []

    def run(self, command: str) -> None:
        """Run one line, or see why not."""
        if bare(command) in ELSEWHERE:
            return
        words, file = words_of(command, self.variables)
        if len(words) == 1 and words[0].partition("=")[0].isupper():
            name, _, self.variables[name] = words[0].partition("=")
        elif _of_processes(words):
            self.call(*words[words.index("fit") :], "--print_config", file=os.devnull)
        elif "killed" in command:
            killed(words[1:])
        elif words[0] == "evenhand" and not self.has_data(command):
            self.missing.append(command)
        elif words[0] == "evenhand" and words[1] != "serve":
            self.call(*words[1:], *shortening(words[1], words[2:]), file=file)
        elif words[0] == "evenhand" and not self.leaves:
            answers(words[1:])
        else:
            assert words[0] in ("evenhand", "curl"), f"{command} is neither run nor listed in tests/pages.py"
            assert self.leaves, f"{command} asks a server that only tests/test_wheel.py starts"

    def has_data(self, command: str) -> bool:
        """Whether the data that it names are here, or can be fetched."""
        try:
            for name in FETCHED:
                if name in command:
                    self.request.getfixturevalue(FETCHED[name])
        except pytest.skip.Exception:
            return False
        return True

    def call(self, *words: str, file: str) -> None:
        """A call in place of a process; what it prints goes to the file."""
        with contextlib.ExitStack() as stack:
            if file:
                stack.enter_context(contextlib.redirect_stdout(stack.enter_context(Path(file).open("w"))))
            try:
                code: object = main([*words])
            except SystemExit as stopped:
                code = stopped.code
        assert not code, words


def shortening(verb: str, words: list[str]) -> list[str]:
    """What is typed behind a command so that it takes a second or two."""
    goes_on = not {"-c", "--data", "--paper"} & {*words}
    if verb not in ("fit", "sweep") or goes_on or "--print_config" in words or "--model.help" in words:
        return []
    quick = [word for setting in QUICK.items() for word in setting]
    if verb == "fit":
        return quick
    few = {"--resplit": "1", "--trials": "2"}
    quick += ["--seeds", "0", *(word for name, value in few.items() if name in words for word in (name, value))]
    if "--paper" in words:
        paper = read_paper(Path(*resolve([words[words.index("--paper") + 1]])))
        quick += ["--rows", paper.rows[0].name]
    return quick


def killed(words: list[str]) -> None:
    """A process that is killed once it has saved."""
    last = f"runs/*/{words[words.index('--run') + 1]}/checkpoints/last.ckpt"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen([sys.executable, "-m", "experiments", *words], env=environment)
    while not [*Path().glob(last)]:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL


def answers(words: list[str]) -> None:
    """Serve in a process of its own until it is healthy."""
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "experiments", *words, "--port", str(port)]
    server = subprocess.Popen(command, env=environment)
    try:
        for _ in range(240):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as said:
                    assert said.status == 200
                return
            except OSError:
                assert server.poll() is None
                time.sleep(0.5)
        pytest.fail("the server does not answer")
    finally:
        server.terminate()
        server.wait(60)


def test_every_link_leads_somewhere() -> None:
    pytest.importorskip("mkdocs", reason="the site is built with pip install 'evenhand[docs]'")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir"]
    root = REPOSITORY
    site = subprocess.run([*build, str(root / "build" / "site")], cwd=root, capture_output=True, text=True, check=False)
    assert site.returncode == 0, site.stdout + site.stderr
