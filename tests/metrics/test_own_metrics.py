"""Metrics that a user adds, and numbers of any size: one value each, in float64, and readable in the terminal."""

import re
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
from conftest import Fit

from experiments.run.checkpoints.checkpoint_io import read
from experiments.terminal import decimal

CLASSES = ["--data", "tiny_package.Tiny", "--model", "LitLinear", "--trainer.max_epochs", "1"]
SQUARES = "{mse: {class_path: torchmetrics.MeanSquaredError}}"


def metric(name: str, more: str = "") -> list[str]:
    return ["--model.metrics", f"{{each: {{class_path: torchmetrics.classification.{name}, init_args: {{{more}}}}}}}"]


@pytest.mark.parametrize("name", ["MulticlassF1Score", "MulticlassROC"])
def test_a_metric_of_several_values_is_refused_before_anything_is_written(refused: Any, name: str) -> None:
    more = "num_classes: 3" + (", average: none" if name == "MulticlassF1Score" else "")
    assert "the metric each gives several values" in refused(*CLASSES, *metric(name, more))


def test_a_metric_that_does_not_fit_ends_with_a_sentence(capfd: Any, fit: Fit) -> None:
    with pytest.raises(SystemExit) as stopped:
        fit(*CLASSES, *metric("MulticlassF1Score", "num_classes: 2"))
    assert stopped.value.code == 2
    error = capfd.readouterr().err
    assert "the metric each cannot be computed" in error
    assert "Traceback" not in error


@pytest.mark.parametrize("unit", [1e20, 1.0, 1e-24])
def test_errors_have_the_targets_unit(unit: float, fit: Fit, tmp_path: Path, capfd: Any) -> None:
    draw = numpy.random.default_rng(0)
    a = draw.normal(size=200)
    y = unit * (2 * a + 0.2 * draw.normal(size=200))
    polars.DataFrame({"a": a, "y": y}).write_csv(tmp_path / "data.csv")
    words = f"--data TableData --data.path {tmp_path}/data.csv --data.target y --model LitLinear"
    more = "--model.optimizer.lr 0.05 --trainer.max_epochs 10 --seed_everything 0"
    record = fit(*f"{words} {more}".split(), "--model.metrics", SQUARES)
    rows = polars.read_parquet(record["path"] / "predictions.parquet")
    error = (rows["prediction"] - rows["target"]).to_numpy()
    metrics = record["metrics"]
    assert metrics["test/rmse"] == pytest.approx(numpy.sqrt((error**2).mean()), rel=1e-12, abs=0)
    assert metrics["test/mae"] == pytest.approx(numpy.abs(error).mean(), rel=1e-12, abs=0)
    assert metrics["test/mse"] == pytest.approx((error**2).mean(), rel=1e-6, abs=0)
    assert read(record["path"] / "checkpoints" / "best.ckpt")["epoch"] > 0
    printed = re.sub("chosen: .*", "", capfd.readouterr().out)
    shown = [float(number) for number in re.findall(r"(?:val|test)/rmse (\S+)", printed)]
    assert len(shown) == 11
    assert shown[-1] == pytest.approx(metrics["test/rmse"], rel=1e-3)
    assert all(0.1 * unit < number < 10 * unit for number in shown)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0.0, "0.0000"), (0.8125, "0.8125"), (-12345.6, "-12345.6000"), (1e-25, "1.0000e-25")),
        *((-2.5e20, "-2.5000e+20"), (float("nan"), "nan"), (float("inf"), "inf")),
    ],
)
def test_a_number_is_written_with_digits_that_say_something(value: float, text: str) -> None:
    assert decimal(value) == text
