"""Every single fault is seen: the test that belongs to it fails with the fault in a copy of the product."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from single_faults import FAULTS, Fault

ROOT = Path(__file__).parents[2]
FOLDERS = ("datamodules", "experiments", "lit_models", "tests")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def copied(folder: Path) -> Path:
    """Copies the product and its tests."""
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def run_tests(folder: Path, *tests: str) -> tuple[int, str]:
    """Returns pytest's exit code and output in a copy."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_seen(fault: Fault, tmp_path: Path) -> None:
    path = copied(tmp_path) / fault.path
    source = path.read_text()
    assert source.count(fault.original) == 1, f"{fault.path} has changed; correct the fault's original source"
    path.write_text(source.replace(fault.original, fault.faulty))
    code, output = run_tests(tmp_path, fault.test)
    assert code == 1, output
    assert " failed" in output.splitlines()[-1], output


def test_without_a_fault_the_same_tests_pass(tmp_path: Path) -> None:
    code, output = run_tests(copied(tmp_path), *dict.fromkeys(fault.test for fault in FAULTS))
    assert code == 0, output
