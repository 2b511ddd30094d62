"""A folder that is filled once, for tests that each change it: a run is trained once a module and not once a test."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


class KeptFolder:
    """A folder and a copy of it; runs have the path where they were trained in their files.

    Args:
        paths: Makes both.
        fill: Fills the folder, which is the working directory then.
    """

    def __init__(self, paths: pytest.TempPathFactory, fill: Callable[[], object]) -> None:
        self.home, self.kept = (paths.mktemp(name) for name in ("home", "kept"))
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.home)
            fill()
        shutil.copytree(self.home, self.kept, dirs_exist_ok=True)

    def put_back(self, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Makes the folder what it was, and the working directory; returns it."""
        shutil.rmtree(self.home)
        shutil.copytree(self.kept, self.home)
        monkeypatch.chdir(self.home)
        return self.home
