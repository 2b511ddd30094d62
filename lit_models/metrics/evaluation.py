"""Predictions and metrics of one pass over an evaluation set, on any number of devices."""

import warnings
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from lit_models.distributed.gather import gathered_rows
from lit_models.errors import ConfigError, NoDirectionError
from lit_models.metrics.exact import ExactMetric
from lit_models.tasks import Task
from lit_models.training.loss_precision import loss_of

WITHOUT_DIRECTION = ("train/lr", "train/rows_per_second", "train/memory_mib", "train/gradient_norm")
"""Values that ``EpochMonitor`` logs beside the loss."""

Outputs = tuple[Tensor, Tensor, Tensor]  # ids, targets and network outputs of the same rows


class Evaluation(NamedTuple):
    """Results of one pass over an evaluation set, rows in the order of their ids."""

    row: Tensor
    target: Tensor
    prediction: Tensor
    metrics: dict[str, float]
    uncalibrated: Tensor | None = None  # predictions at temperature 1, if there is another one


def gather_outputs(batches: list[Outputs]) -> Outputs:
    """Gathers the rows of all batches and processes in the order of their ids; empties ``batches`` to save memory."""
    row, target, outputs = (gathered_rows(torch.cat(columns)) for columns in zip(*batches, strict=True))
    batches.clear()
    order = row.argsort()
    return row[order], target[order], outputs.index_select(0, order)


def evaluate(rows: Outputs, task: Task, loss: nn.Module, metrics: Mapping[str, Metric]) -> Evaluation:
    """Computes predictions, ``loss`` and metrics over all rows; metrics are NaN if a prediction is not finite."""
    row, target, outputs = rows
    prediction = task.predict(outputs)
    logits = task.calibrated(outputs)
    values = {"loss": float(loss_of(loss, logits, task.loss_target(target, outputs.dtype)))}
    decided = prediction if task.threshold == 0.5 else (prediction > task.threshold).double()
    for name, metric in metrics.items():
        values[name] = torch.nan
        if prediction.isfinite().all():  # an argmax or a rank of NaN is a number that means nothing
            metric.sync_on_compute = False  # every process has all rows already
            try:
                given = decided if isinstance(metric, ExactMetric) and metric.measure.of_classes else prediction
                values[name] = float(computed(metric, given, task.metric_target(target)))
            except (RuntimeError, TypeError, ValueError) as error:
                raise ConfigError(f"the metric {name} cannot be computed of these rows: {error}") from error
    uncalibrated = None if task.temperature == 1 else task.predict(outputs.double() * task.temperature)
    return Evaluation(row, target, prediction, values, uncalibrated)


def computed(metric: Metric, prediction: Tensor, target: Tensor) -> Any:
    """Computes a metric, of floating-point targets in float64: squares of large or small values need its range."""
    metric.to(prediction.device).reset()
    if target.is_floating_point():
        metric.set_dtype(torch.float64)
    metric.update(prediction, target)
    value = metric.compute()
    metric.reset()
    return value


def check_metrics(metrics: dict[str, Metric], task: Task) -> dict[str, Metric]:
    """Returns metrics of which each gives one number; raises ``ConfigError`` for one that gives several."""
    for name, metric in metrics.items():
        if _gives_several(metric, task):
            raise ConfigError(
                f"the metric {name} gives several values, and one is logged and compared; choose an average of them, "
                "or name a metric for each"
            )
    return metrics


def _gives_several(metric: Metric, task: Task) -> bool:
    prediction, target = task.predict(torch.zeros(3, task.num_outputs)), task.metric_target(task.example_target())
    try:
        with warnings.catch_warnings(action="ignore"), torch.random.fork_rng(devices=[]):
            value = computed(metric.clone(), prediction, target)
    except Exception:  # three rows may not define it
        return False
    return not isinstance(value, float | int) and getattr(value, "numel", lambda: 0)() != 1


def direction(name: str, metrics: Mapping[str, Metric], others: bool = False) -> Literal["min", "max"]:
    """Returns whether a logged metric, such as ``val/accuracy``, is best at its minimum or maximum.

    Raises ``ConfigError`` for a name that is not logged, unless ``others`` may be, and ``NoDirectionError`` for a value
    without a direction.
    """
    logged = ["train/loss", *(f"val/{metric}" for metric in ("loss", *metrics))]
    if name in ("train/loss", "val/loss"):
        return "min"
    if name not in (*logged, *WITHOUT_DIRECTION) and not others:
        raise ConfigError(f"nothing logs {name!r}; these are logged: {', '.join(logged)}")
    higher = metrics[name.removeprefix("val/")].higher_is_better if name in logged else None
    if higher is None:
        unknown = "" if name in (*logged, *WITHOUT_DIRECTION) else f"nothing logs {name!r} among {', '.join(logged)}; "
        raise NoDirectionError(
            f"{unknown}{name} has no direction of its own; add mode, min or max, where it is monitored"
        )
    return "max" if higher else "min"
