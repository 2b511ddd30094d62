"""Predictions and metrics of one pass over an evaluation set, on any number of devices."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from lit_models.distributed.gather import gathered_rows
from lit_models.errors import ConfigError, NoDirectionError
from lit_models.tasks import Task
from lit_models.training.loss_precision import loss_of

WITHOUT_DIRECTION = ("train/lr", "train/rows_per_second", "train/memory_mib", "train/gradient_norm")
"""Values that ``EpochMonitor`` logs beside the loss."""

Outputs = tuple[Tensor, Tensor, Tensor]
"""Ids, targets and network outputs of the same rows."""


class Evaluation(NamedTuple):
    """Results of one pass over an evaluation set, rows in the order of their ids."""

    row: Tensor
    target: Tensor
    prediction: Tensor
    metrics: dict[str, float]


def gather_outputs(batches: list[Outputs]) -> Outputs:
    """Gathers the rows of all batches and processes in the order of their ids; empties ``batches`` to save memory."""
    row, target, outputs = (gathered_rows(torch.cat(columns)) for columns in zip(*batches, strict=True))
    batches.clear()
    order = row.argsort()
    return row[order], target[order], outputs.index_select(0, order)


def evaluate(rows: Outputs, task: Task, loss: nn.Module, metrics: Mapping[str, Metric]) -> Evaluation:
    """Computes predictions and metrics over all rows at once.

    Args:
        rows: All rows of the evaluation set.
        task: Task that makes predictions of outputs.
        loss: Loss, computed as ``loss``.
        metrics: Other metrics by name; undefined (NaN) if a prediction is not finite.
    """
    row, target, outputs = rows
    prediction = task.predict(outputs)
    values = {"loss": float(loss_of(loss, outputs, task.loss_target(target, outputs.dtype)))}
    for name, metric in metrics.items():
        values[name] = torch.nan
        if prediction.isfinite().all():  # an argmax or a rank of NaN is a number that means nothing
            metric.sync_on_compute = False  # every process has all rows already
            metric.to(prediction.device).reset()
            metric.update(prediction, task.metric_target(target))
            values[name] = float(metric.compute())
            metric.reset()
    return Evaluation(row, target, prediction, values)


def direction(name: str, metrics: Mapping[str, Metric], others: bool = False) -> Literal["min", "max"]:
    """Returns whether a logged metric, such as ``val/accuracy``, is best at its minimum or maximum.

    Args:
        name: Name under which a fit logs it.
        metrics: Metrics computed in addition to the loss.
        others: Whether other values may be logged too.

    Raises:
        ConfigError: For a name that is not logged, with the names that are.
        NoDirectionError: For a value that is logged and has no direction.
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
