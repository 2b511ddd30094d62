"""Runs the ordinary suite against single mutants: ``python tests/mutation/mutation_run.py WORK --jobs 2``.

WORK is a folder for the suite's coverage, which is measured once, and for ``mutants.jsonl``; a run goes on where it
ended. A process that has imported the libraries forks one for each mutant. That one imports the product from a copy
with the mutant in it, and runs the tests that pass through the mutated line, the quickest first, until one fails. A
mutant is caught when a test fails, or when the tests take more than three times as long as without it.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate, islice
from pathlib import Path
from tempfile import TemporaryDirectory

from covering_tests import COVERAGE, ROOT, CoveringTests, run_suite
from mutants import Mutant, is_python, mutants
from mutation_targets import TARGETS

FOLDERS = ("datamodules", "evenhand", "experiments", "lit_models", "tests", "docs")
FILES = ("pyproject.toml", "README.md", "CONTRIBUTING.md", "mkdocs.yml")
Tests = dict[tuple[str, int], list[tuple[str, float]]]
"""Node ids of tests and their seconds, by file and line."""

QUICK = 60.0
"""Seconds of tests that run in the first process of a mutant; the others follow where these pass."""


def sample(count: int, seed: int) -> list[tuple[str, Mutant]]:
    """Returns (topic, mutant): of each topic as many as its share of all mutants, and ten at least."""
    pool = {
        topic: [mutant for path in files for mutant in mutants(path, (ROOT / path).read_text())]
        for topic, files in TARGETS.items()
    }
    total = sum(map(len, pool.values()))
    drawn: list[tuple[str, Mutant]] = []
    for topic, found in pool.items():
        number = min(len(found), max(10, round(count * len(found) / total)))
        order = random.Random(f"{seed} {topic}").sample(found, len(found))
        valid = (mutant for mutant in order if is_python(mutant, (ROOT / mutant.path).read_text()))
        drawn += ((topic, mutant) for mutant in islice(valid, number))
    random.Random(seed).shuffle(drawn)  # a run that is stopped has some of every topic
    return drawn


def copied(folder: Path) -> Path:
    """Copies the product and its tests."""
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".hypothesis"))
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    return folder


def import_libraries() -> None:
    """Imports what the processes of tests need, and nothing of the product."""
    import hypothesis  # noqa: F401
    import lightning.pytorch  # noqa: F401
    import polars  # noqa: F401
    import pytest  # noqa: F401
    import sklearn.ensemble
    import sklearn.linear_model  # noqa: F401
    import torch
    import torchmetrics  # noqa: F401

    torch.set_num_threads(1)


def run_tests(folder: Path, tests: list[str], output: Path, seconds: float) -> int | None:
    """Returns pytest's exit code in a forked process, or None where the time was over."""
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            os.setsid()
            file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, 1)
            os.dup2(file, 2)
            os.chdir(folder)
            os.environ |= {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
            sys.dont_write_bytecode = True
            sys.path[:] = [
                str(folder),
                *(path for path in sys.path if "site-packages" in path or str(ROOT) not in path),
            ]
            import pytest

            code = int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", "-p", "no:cov", "--tb=line", *tests]))
        finally:
            os._exit(code)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def processes(tests: list[tuple[str, float]], most: float) -> Iterator[tuple[list[str], float]]:
    """Yields the tests of the first ``QUICK`` seconds, then the others up to ``most``, each with their seconds."""
    ends = list(accumulate(seconds for _, seconds in tests))
    for low, high in ((-1.0, min(QUICK, most)), (QUICK, most)):
        chosen = [test for test, end in zip(tests, ends, strict=True) if low < end <= high]
        if chosen:
            yield [name for name, _ in chosen], sum(seconds for _, seconds in chosen)


def outcome(folder: Path, mutant: Mutant, tests: list[tuple[str, float]], log: Path, most: float) -> tuple[str, str]:
    """Returns how a mutant ended, "caught", "out of time" or "survived", and the line of the test that failed."""
    path = folder / mutant.path
    source = path.read_text()
    path.write_text(mutant.apply(source))
    try:
        for names, seconds in processes(tests, most):
            code = run_tests(folder, names, log, 60 + 3 * seconds)
            if code is None:
                return "out of time", ""
            if code != 0:
                lines = log.read_text(errors="replace").splitlines()
                failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
                return "caught", failed[0][:200] if failed else f"exit code {code}"
    finally:
        path.write_text(source)
    return "survived", f"{len(tests)} tests"


def work(drawn: list[tuple[str, Mutant]], tests_of: Tests, results: Path, most: float) -> None:
    """Runs mutants in this process, and writes a line for each."""
    with TemporaryDirectory() as temporary:
        copy, log = copied(Path(temporary)), Path(temporary) / "output.txt"
        names = {name for _, mutant in drawn for name, _ in tests_of[mutant.path, mutant.line]}
        code = run_tests(copy, ["--collect-only", *sorted(names)], log, 600)
        assert code == 0, log.read_text(errors="replace")[-3000:]
        for topic, mutant in drawn:
            started = time.monotonic()
            state, test = outcome(copy, mutant, tests_of[mutant.path, mutant.line], log, most)
            seconds = round(time.monotonic() - started, 1)
            result = {"topic": topic, "mutant": str(mutant), "state": state, "test": test, "seconds": seconds}
            with results.open("a") as file:
                file.write(json.dumps(result) + "\n")
            print(f"{state:12} {seconds:6} s  {mutant}  {test}", flush=True)


def main() -> None:
    """Runs a sample of mutants, except those that have a result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--count", type=int, default=320)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--most", type=float, default=1e9, help="Seconds of tests for a mutant, the quickest first.")
    options = parser.parse_args()
    folder, results = options.work.resolve(), options.work.resolve() / "mutants.jsonl"
    if not (folder / COVERAGE).exists():
        run_suite(folder)
    done = {json.loads(line)["mutant"] for line in results.read_text().splitlines()} if results.exists() else set()
    drawn = [pair for pair in sample(options.count, options.seed) if str(pair[1]) not in done]
    import_libraries()
    covering = CoveringTests(folder)  # read before forking: coverage.py erases the file of another process
    tests_of = {(mutant.path, mutant.line): covering.of(mutant.path, mutant.line) for _, mutant in drawn}
    children = []
    for job in range(options.jobs):
        if (pid := os.fork()) == 0:
            try:
                work(drawn[job :: options.jobs], tests_of, results, options.most)
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        children.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    print(dict(Counter(json.loads(line)["state"] for line in results.read_text().splitlines())))
    sys.exit(max(map(abs, codes)))


if __name__ == "__main__":
    main()
