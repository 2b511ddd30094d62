"""Runs every command of README.md and docs/, each page from top to bottom in one folder.

The commands are calls in this process, with options added that make them short. tests/test_wheel.py types the commands
of some pages into a shell, with no option added.
"""

import os
import re
import shlex
import shutil
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
    reader = Reader(page.stem in FOLLOWED, request, page.read_text())
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
        elif block.language in ("text", "json") and not before.elsewhere and not before.needs_all_seeds:
            shown += block.text
        for command in block.commands:
            reader.run(command)
        before = block
    if not reader.leaves:
        never = lacking(shown, capfd.readouterr().out)
        assert not never
    if reader.missing:
        pytest.skip(f"these need the network once: {reader.missing}")


def test_every_block_has_a_language_of_the_list() -> None:
    for page in PAGES:
        assert {block.language for block in blocks(page)} <= LANGUAGES, page
        indented = [line for line in page.read_text().splitlines() if line.startswith("    evenhand ")]
        assert not indented, f"{page} has a command outside of a fenced block: {indented}"


def test_the_readme_is_short_and_every_other_page_opens_with_an_example() -> None:
    assert len(PAGES[0].read_text().splitlines()) <= 120
    for page in PAGES[1:]:
        assert "```" in page.read_text().partition("\n## ")[0], f"{page} has a heading before its first example"


def test_no_page_or_message_installs_from_an_index_that_lacks_the_package() -> None:
    for file in [*PAGES, REPOSITORY / "CONTRIBUTING.md", *(REPOSITORY / "experiments").rglob("*.py")]:
        assert not re.findall(r"pip install '?evenhand", file.read_text()), file


def test_files_that_the_pages_name_exist() -> None:
    for page in PAGES:
        text = page.read_text()
        for path in re.findall(r"experiments/configs/[\w/]+\.yaml", text):
            assert (REPOSITORY / path).exists(), f"{page} names {path}"
        for path in re.findall(r"!\[.*?\]\((.*?)\)", text):
            assert (page.parent / path).exists(), f"{page} shows {path}"
        for path in re.findall(r"`(?:tests/)?((?:\w+/)*test_\w+\.py)`", text):
            assert (REPOSITORY / "tests" / path).exists(), f"{page} names {path}"


def test_listed_commands_are_on_a_page_and_those_of_processes_on_a_followed_page() -> None:
    commands = {command for _, command in every_command()}
    assert {*ELSEWHERE} <= commands
    followed = {command for page, command in every_command() if page.stem in FOLLOWED}
    assert {command for command in commands - {*ELSEWHERE} if of_processes(shlex.split(command))} <= followed


def test_every_link_has_its_page_and_anchor(tmp_path: Path) -> None:
    """Builds the site with the README and CONTRIBUTING.md among its pages, so that their links are checked too."""
    pytest.importorskip("zensical", reason="the site is built with pip install '.[docs]'")
    shutil.copytree(REPOSITORY / "docs", tmp_path / "docs")
    shutil.copy(REPOSITORY / "mkdocs.yml", tmp_path)
    for name in ("README.md", "CONTRIBUTING.md"):
        (tmp_path / "docs" / name.lower()).write_text(
            (REPOSITORY / name).read_text().replace("](docs/", "](").replace("](CONTRIBUTING.md", "](contributing.md")
        )
    build = [sys.executable, "-m", "zensical", "build", "--strict"]
    plain = {**os.environ, "NO_COLOR": "1"}
    site = subprocess.run(build, cwd=tmp_path, env=plain, capture_output=True, text=True, check=False)
    assert site.returncode == 0, site.stdout + site.stderr
    assert (tmp_path / "build" / "site" / "index.html").exists()
