"""The mutants themselves, and a run of 320 of them against the suite (an hour: ``pytest -m slow``)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mutants import mutants
from mutation_run import ROOT, sample
from single_faults import FAULTS, Fault

SOURCE = '''
def clamp(x: float, low: float = 0.5) -> float:
    """Limits x to [low, 2]."""
    if x < low and not x == 1:
        check(x)
        raise ValueError(f"{x + 1} is too small")
    return min(x, 2) if x else -low
'''

MUTATED = {
    "0.5 -> (0.5 * 2)",
    "x < low and not x == 1 -> not (x < low and not x == 1)",
    "< -> <=",
    "and -> or",
    "not x == 1 -> (x == 1)",
    "== -> !=",
    "1 -> (1 + 1)",
    "check(x) -> pass",
    'raise ValueError(f"{x + 1} is too small") -> pass',
    "min -> max",
    "2 -> (2 + 1)",
    "x -> not (x)",
    "-low -> (low)",
}


def test_every_operator_constant_condition_and_statement_is_mutated() -> None:
    found = list(mutants("clamp.py", SOURCE))
    assert {str(mutant).split(": ", 1)[1] for mutant in found} == MUTATED
    assert len(found) == len(MUTATED)


def test_a_mutant_differs_from_its_source_in_one_span() -> None:
    for mutant in mutants("clamp.py", SOURCE):
        mutated = mutant.apply(SOURCE)
        assert mutated[: mutant.start] == SOURCE[: mutant.start]
        assert mutated.endswith(SOURCE[mutant.stop :])
        assert mutated != SOURCE


def test_a_sample_depends_on_its_seed_alone() -> None:
    first = [str(mutant) for _, mutant in sample(320, 0)]
    assert first == [str(mutant) for _, mutant in sample(320, 0)]
    assert first != [str(mutant) for _, mutant in sample(320, 1)]
    assert len(set(first)) == len(first) >= 300


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_single_fault_fits_the_source(fault: Fault) -> None:
    """The slow suite puts each one in; a source that has changed is seen here."""
    assert (ROOT / fault.path).read_text().count(fault.original) == 1
    file, _, name = fault.test.partition("::")
    assert f"def {name.partition('[')[0]}" in (ROOT / file).read_text()


@pytest.mark.slow
@pytest.mark.timeout(12 * 3600)
def test_at_least_97_of_100_mutants_are_caught(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(ROOT / "tests/mutation/mutation_run.py"), str(tmp_path)], check=True)
    results = [json.loads(line) for line in (tmp_path / "mutants.jsonl").read_text().splitlines()]
    survivors = [result["mutant"] for result in results if result["state"] == "survived"]
    assert len(results) >= 300
    assert len(survivors) <= 0.03 * len(results), "\n".join(survivors)
