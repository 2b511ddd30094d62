"""Memory goes back to the system while rows are read, and stays while a model runs."""

from typing import Any

import pytest
from conftest import Fit

from experiments.run import cpu_speed
from lit_models import LitModel

BACK, KEPT = [(-1, 2**17), (-3, 2**20)], [(-3, 2**25), (-1, 2**31 - 1)]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Thresholds that glibc got, and the steps in between."""
    calls: list[object] = []
    for name in cpu_speed.USER_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cpu_speed, "_mallopt", lambda name, value: calls.append((name, value)))
    return calls


def test_a_fit_reads_first_and_keeps_from_its_first_step_on(
    fit: Fit, calls: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = LitModel.training_step

    def noted(self: LitModel, *args: Any) -> Any:
        calls.append("step")
        return step(self, *args)

    monkeypatch.setattr(LitModel, "training_step", noted)
    fit("--data", "tiny_package.Tiny", "--model", "LitLinear", "--trainer.max_epochs", "1")
    assert calls[:2] == BACK
    assert calls[2:4] == KEPT
    assert calls.index("step") > 3
    assert BACK[0] not in calls[2:]


@pytest.mark.parametrize("name", cpu_speed.USER_VARIABLES)
def test_thresholds_of_the_user_are_kept(calls: list[object], monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    cpu_speed.return_freed_memory()
    cpu_speed.keep_freed_memory()
    assert calls == []


def test_plain_mode_sets_no_threshold_and_keeps_lightnings_profiler(
    fit: Fit, calls: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (
        "--data",
        "tiny_package.Tiny",
        "--model",
        "LitLinear",
        "--trainer.max_epochs",
        "1",
        "--seed_everything",
        "1",
    )
    fast = fit(*words, "--run", "fast")
    monkeypatch.setenv("EVENHAND_PLAIN", "1")
    calls.clear()
    assert fit(*words, "--run", "plain")["metrics"] == fast["metrics"]
    assert calls == []
    assert cpu_speed.speed_callbacks() == []
    assert cpu_speed.speed_profiler() is None


@pytest.mark.parametrize("answer", [ValueError, OSError, None, "other 1.2"])
def test_other_c_libraries_are_left_alone(
    calls: list[object], monkeypatch: pytest.MonkeyPatch, answer: type[Exception] | str | None
) -> None:
    def _unknown(name: str) -> str | None:
        if isinstance(answer, type):
            raise answer(name)
        return answer

    monkeypatch.setattr("os.confstr", _unknown)
    cpu_speed.keep_freed_memory()
    assert calls == []
