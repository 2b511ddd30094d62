"""Every command of README.md and docs/ runs as it stands there, a page from top to bottom in one folder.

A page is followed in this process, each command with words behind it that make it short. In a process of its own, and
with nothing behind them, tests/test_wheel.py types the commands of the pages that it names.
"""

import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from doc_pages import (
    ELSEWHERE,
    FOLLOWED,
    LANGUAGES,
    PAGES,
    REPOSITORY,
    Block,
    blocks,
    every_command,
    lacking,
)
from doc_reader import Reader, of_processes
from in_process_sweep import Calls, calls
from user_files import write_all

from datamodules import MNIST1D

__all__ = ["calls"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
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
    assert {command for command in commands - {*ELSEWHERE} if of_processes(shlex.split(command))} <= followed


def test_every_link_leads_somewhere() -> None:
    pytest.importorskip("mkdocs", reason="the site is built with pip install 'evenhand[docs]'")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir"]
    root = REPOSITORY
    site = subprocess.run([*build, str(root / "build" / "site")], cwd=root, capture_output=True, text=True, check=False)
    assert site.returncode == 0, site.stdout + site.stderr
