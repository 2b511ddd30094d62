"""The pages of docs/ that a newcomer follows, from top to bottom in an empty folder, as they stand there."""

import re
import shlex
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from own_files import write_all

from experiments.__main__ import main

DOCS = Path(__file__).parents[1] / "docs"
FILES = {"own-data": "", "own-architecture": "my_models.py", "own-loss": "my_parts.py"}
"""Each page, and the file that its first block of Python is."""

QUICK = ["--trainer.max_epochs", "2", "--trainer.limit_train_batches", "3", "--figures", "false"]


@pytest.mark.parametrize("page", FILES)
def test_a_page_can_be_followed(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_all(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, FILES[page].removesuffix(".py"), raising=False)
    python = 0
    for language, block in re.findall(r"```(\w*)\n(.*?)```", (DOCS / f"{page}.md").read_text(), re.DOTALL):
        if language == "python":
            if python:
                exec(compile(block, page, "exec"), {})
            else:
                (tmp_path / FILES[page]).write_text(block)
            python += 1
        for line in block.splitlines() if not language else []:
            follow(shlex.split(line))
    assert list(tmp_path.glob("runs/*/*/predictions.parquet"))


def follow(words: list[str]) -> None:
    """Run one command, shortened where it trains."""
    evenhand, verb, *rest = words
    assert evenhand == "evenhand"
    if verb == "serve":
        answers(rest)
    elif "--model.help" in rest:
        with pytest.raises(SystemExit) as stopped:
            main([verb, *rest])
        assert stopped.value.code == 0
    else:
        rest = ["0" if word == "0..4" else word for word in rest]  # one seed shows as much
        assert main([verb, *rest, *(QUICK if verb in ("fit", "sweep") else [])]) == 0, words


def answers(words: list[str]) -> None:
    """Serve in a process of its own until it is healthy."""
    command = [sys.executable, "-m", "experiments", "serve", *words, "--port", "8765"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for _ in range(120):
            try:
                with urllib.request.urlopen("http://127.0.0.1:8765/health", timeout=5) as said:
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
    root = DOCS.parent
    site = subprocess.run([*build, str(root / "build" / "site")], cwd=root, capture_output=True, text=True, check=False)
    assert site.returncode == 0, site.stdout + site.stderr
