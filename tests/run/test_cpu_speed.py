"""Memory goes back to the system while rows are read, and stays while a model runs."""

from typing import Any

import pytest
from conftest import Fit

from experiments.run import cpu_speed
from lit_models import LitModel

BACK, KEPT = [(-1, 2**17), (-3, 2**20)], [(-3, 2**25), (-1, 2**31 - 1)]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What glibc was told, and what was done in between."""
    told: list[object] = []
    for name in cpu_speed.USER_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cpu_speed, "_mallopt", lambda name, value: told.append((name, value)))
    return told


def test_a_fit_reads_first_and_keeps_from_its_first_step_on(
    fit: Fit, told: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = LitModel.training_step

    def noted(self: LitModel, *args: Any) -> Any:
        told.append("step")
        return step(self, *args)

    monkeypatch.setattr(LitModel, "training_step", noted)
    fit("--data", "tiny_package.Tiny", "--model", "LitLinear", "--trainer.max_epochs", "1")
    assert told[:2] == BACK
    assert told[2:4] == KEPT
    assert told.index("step") > 3
    assert BACK[0] not in told[2:]


@pytest.mark.parametrize("name", cpu_speed.USER_VARIABLES)
def test_what_a_person_chose_stays(told: list[object], monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    cpu_speed.return_freed_memory()
    cpu_speed.keep_freed_memory()
    assert told == []


@pytest.mark.parametrize("answer", [ValueError, OSError, None, "other 1.2"])
def test_other_c_libraries_are_left_alone(
    told: list[object], monkeypatch: pytest.MonkeyPatch, answer: type[Exception] | str | None
) -> None:
    def _unknown(name: str) -> str | None:
        if isinstance(answer, type):
            raise answer(name)
        return answer

    monkeypatch.setattr("os.confstr", _unknown)
    cpu_speed.keep_freed_memory()
    assert told == []
