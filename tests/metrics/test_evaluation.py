"""One pass over an evaluation set: its rows in order, its metrics, and in which direction each is better."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchmetrics import MeanSquaredError, Metric, PearsonCorrCoef
from torchmetrics.classification import BinaryAccuracy, MulticlassF1Score

from lit_models import ConfigError
from lit_models.errors import NoDirectionError
from lit_models.metrics.evaluation import check_metrics, computed, direction, evaluate, gather_outputs
from lit_models.tasks import TASKS

ROWS = (torch.tensor([0, 1, 2, 3]), torch.tensor([0, 1, 1, 0]), torch.tensor([[-1.0], [2.0], [-3.0], [-4.0]]))


class Failing(Metric):
    """Raises an error of some kind."""

    def __init__(self, error: type[Exception]) -> None:
        super().__init__()
        self.error = error

    def update(self, prediction: Tensor, target: Tensor) -> None:
        raise self.error("no such rows")

    def compute(self) -> Tensor:
        raise AssertionError


class Plain(Metric):
    """Returns some value that is no tensor of one number."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Draws a number, which no later row may notice."""
        torch.rand(1)

    def compute(self) -> Any:
        return self.value


def test_rows_of_all_batches_are_in_the_order_of_their_ids() -> None:
    batches = [tuple(column[rows] for column in ROWS) for rows in ([3, 1], [0], [2])]
    gathered = gather_outputs(batches)
    assert batches == []
    for found, expected in zip(gathered, ROWS, strict=True):
        assert torch.equal(found, expected)


def test_the_loss_and_the_metrics_are_of_all_rows() -> None:
    task = TASKS["binary"](1)
    loss = nn.BCEWithLogitsLoss()
    accuracy = BinaryAccuracy()
    found = evaluate(ROWS, task, loss, {"accuracy": accuracy})
    assert not accuracy.sync_on_compute  # every process has all rows
    assert found.metrics == pytest.approx({"loss": float(loss(ROWS[2][:, 0], ROWS[1].float())), "accuracy": 0.75})
    assert torch.equal(found.row, ROWS[0])
    assert torch.equal(found.target, ROWS[1])
    assert torch.equal(found.prediction, ROWS[2][:, 0].double().sigmoid())


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_without_a_finite_prediction_metrics_are_nan(value: float) -> None:
    """In regression infinity stays infinite, where a sigmoid gives 1."""
    outputs = torch.tensor([[1.0], [value]])
    rows = (torch.arange(2), torch.tensor([1.0, 2.0]), outputs)
    found = evaluate(rows, TASKS["regression"](1), nn.MSELoss(), {"mse": MeanSquaredError()})
    assert torch.tensor(found.metrics["mse"]).isnan()


@pytest.mark.parametrize("error", [RuntimeError, TypeError, ValueError])
def test_a_metric_that_fails_is_an_error_of_the_configuration(error: type[Exception]) -> None:
    with pytest.raises(ConfigError, match="the metric own cannot be computed of these rows: no such rows"):
        evaluate(ROWS, TASKS["binary"](1), nn.BCEWithLogitsLoss(), {"own": Failing(error)})


def test_errors_of_small_values_are_computed_in_float64() -> None:
    target = torch.tensor([1e-30, 3e-30], dtype=torch.float64)
    metric = MeanSquaredError()
    assert float(computed(metric, target * 2, target)) == pytest.approx(5e-60, rel=1e-12, abs=0)
    assert not metric.update_called
    classes = BinaryAccuracy()
    computed(classes, torch.tensor([0.7, 0.2]), torch.tensor([1, 1]))
    assert float(computed(classes, torch.tensor([0.7]), torch.tensor([1]))) == 1  # of these rows alone


@pytest.mark.parametrize(
    ("metric", "several"),
    [
        (BinaryAccuracy(), False),
        (MeanSquaredError(), False),
        (Plain(0.5), False),
        (Plain(1), False),
        (Plain(torch.tensor([0.5])), False),
        (Plain(torch.tensor([0.5, 0.2])), True),
        (Plain((torch.tensor(1.0), torch.tensor(2.0))), True),
        (Plain({"a": 1.0}), True),
        (Plain(None), True),
        (Failing(IndexError), False),
    ],
    ids=str,
)
def test_a_metric_gives_one_number(metric: Metric, several: bool) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    task = TASKS["binary"](1)
    if several:
        with pytest.raises(ConfigError, match="the metric own gives several values"):
            check_metrics({"loss": BinaryAccuracy(), "own": metric}, task)
    else:
        assert check_metrics({"own": metric}, task) == {"own": metric}
    assert torch.equal(torch.rand(1), expected)


def test_a_metric_of_each_class_gives_several_numbers() -> None:
    task = TASKS["multiclass"](3)
    with pytest.raises(ConfigError, match="several values"):
        check_metrics({"f1": MulticlassF1Score(3, average="none")}, task)
    assert "f1" in check_metrics({"f1": MulticlassF1Score(3)}, task)


METRICS: dict[str, Metric] = {"accuracy": BinaryAccuracy(), "mse": MeanSquaredError(), "r": PearsonCorrCoef()}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("train/loss", "min"), ("val/loss", "min"), ("val/mse", "min"), ("val/accuracy", "max")],
)
@pytest.mark.parametrize("others", [False, True])
def test_the_direction_is_that_of_the_metric(name: str, expected: str, others: bool) -> None:
    assert direction(name, METRICS, others) == expected


@pytest.mark.parametrize("name", ["val/r", "train/lr", "train/rows_per_second", "train/memory_mib"])
@pytest.mark.parametrize("others", [False, True])
def test_a_value_without_a_direction_is_named(name: str, others: bool) -> None:
    with pytest.raises(NoDirectionError, match=f"^{name} has no direction of its own; add mode"):
        direction(name, METRICS, others)


@pytest.mark.parametrize("name", ["accuracy", "val/depth", "train/accuracy", "loss"])
def test_a_value_that_nothing_logs_is_named(name: str) -> None:
    logged = "train/loss, val/loss, val/accuracy, val/mse, val/r"
    with pytest.raises(ConfigError, match=f"^nothing logs '{name}'; these are logged: {logged}$"):
        direction(name, METRICS)
    with pytest.raises(NoDirectionError, match=f"^nothing logs '{name}' among {logged}; {name} has no direction"):
        direction(name, METRICS, others=True)
