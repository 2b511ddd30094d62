"""The tests that run a line, quickest first, by the contexts of coverage.py and the times of JUnit."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
COVERAGE, TIMES = "coverage.db", "times.xml"


def run_suite(folder: Path) -> None:
    """Runs the ordinary suite with a context for each test; twenty minutes on two cores."""
    (folder / "coverage.ini").write_text(f"[run]\ndata_file = {folder / COVERAGE}\n")
    command = [sys.executable, "-m", "pytest", "-q", "--numprocesses", "2", "--dist", "loadfile"]
    command += ["--cov-context=test", f"--cov-config={folder / 'coverage.ini'}", "--cov-report="]
    command += [f"--cov={package}" for package in ("datamodules", "experiments", "lit_models")]
    command += [f"--junitxml={folder / TIMES}", "-o", "junit_family=xunit1", "--ignore=tests/mutation"]
    subprocess.run(command, cwd=ROOT, check=True)


class CoveringTests:
    """The tests that ran each line of a file in the process of the test itself."""

    def __init__(self, folder: Path) -> None:
        from coverage import CoverageData

        self._data = CoverageData(str(folder / COVERAGE))
        self._data.read()
        self._seconds = {}
        for case in ElementTree.parse(folder / TIMES).iter("testcase"):  # written by run_suite
            self._seconds[f"{case.get('file')}::{case.get('name')}"] = float(case.get("time", 0))

    def of(self, path: str, line: int) -> list[tuple[str, float]]:
        """Returns node ids with their seconds; tests that passed through the line, or else through the file.

        Those of the file's own folder are last, since they may run it in a process of their own.
        """
        lines = self._data.contexts_by_lineno(str(ROOT / path))
        of_file = (context for found in lines.values() for context in found)
        names = self._names(lines.get(line, [])) or self._names(of_file)
        folder = f"tests/{Path(path).parent.as_posix().partition('/')[2]}/"
        others = {name for name in self._seconds if name.startswith(folder)} - names
        return [*self._quickest_first(names), *self._quickest_first(others)]

    def _quickest_first(self, names: set[str]) -> list[tuple[str, float]]:
        return sorted(((name, self._seconds[name]) for name in names), key=lambda pair: (pair[1], pair[0]))

    def _names(self, contexts: Iterable[str]) -> set[str]:
        """Returns the tests of contexts; a line that runs at import has none."""
        return {context.rpartition("|")[0] for context in contexts} & self._seconds.keys()
