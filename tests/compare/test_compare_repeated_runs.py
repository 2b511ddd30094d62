"""Of runs with equal settings and seeds the newest alone is compared."""

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy
import pytest
from handmade_runs import record_run

TARGET = numpy.arange(60) % 3


def with_accuracy(correct: int) -> numpy.ndarray:
    """Probabilities that name the right class of so many rows."""
    chosen = (TARGET + (numpy.arange(len(TARGET)) >= correct)) % 3
    return numpy.eye(3)[chosen] * 0.8 + 0.1


STARTS = ("2025-12-31T23:59:59+00:00", "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:01+00:00")


@pytest.mark.parametrize("order", permutations(range(3)))
def test_the_newest_repetition_is_compared(tmp_path: Path, compare_json: Any, order: tuple[int, ...]) -> None:
    """The order of the folders' names is not that of the times."""
    for index, age in enumerate(order):
        folder = tmp_path / "e" / f"seed0-{index}"
        record_run(folder, TARGET, with_accuracy(20 + 10 * age), seed=0, started=STARTS[age])
    record_run(tmp_path / "e" / "seed1", TARGET, with_accuracy(50), seed=1, started=STARTS[0])
    content = compare_json(tmp_path)
    (group,) = content["blocks"][0]["groups"]
    found = {run["seed"]: (Path(run["run"]).name, run["metrics"]["accuracy"]) for run in group["runs"]}
    newest = f"seed0-{order.index(2)}"
    assert found == {0: (newest, pytest.approx(40 / 60)), 1: ("seed1", pytest.approx(50 / 60))}
    assert group["mean"] == pytest.approx(45 / 60)
    names = {Path(run["run"]).name for run in content["left_out"]}
    assert names == {f"seed0-{index}" for index in range(3)} - {newest}
