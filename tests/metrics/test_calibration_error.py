"""The expected calibration error is one number, in TensorBoard and in comparisons."""

import json
from typing import Any

import pytest
from conftest import Fit
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


@pytest.mark.parametrize("data", ["Tiny", "TinyImbalanced"])
def test_tensorboard_and_compare_measure_the_same_error(data: str, fit: Fit, compare_output: Any) -> None:
    words = f"--data tiny_package.{data} --model LitLinear --trainer.max_epochs 2 --seed_everything 0 --figures true"
    path = fit(*words.split())["path"]
    (shown,) = EventAccumulator(str(path)).Reload().Scalars("test/ece")
    (run,) = json.loads(compare_output(path, "--format", "json"))["blocks"][0]["groups"][0]["runs"]
    assert shown.value == pytest.approx(run["metrics"]["ece"], abs=1e-6)
