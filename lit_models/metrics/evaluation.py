"""Evaluation of all rows of a split at once, gathered from all devices."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.utilities.distributed import gather_all_tensors

from lit_models.tasks import Task
from lit_models.training.loss_precision import loss_of

Kept = tuple[Tensor, Tensor, Tensor]
"""Row ids, targets and network outputs of some rows."""


class Evaluation(NamedTuple):
    """Result of a pass over an evaluation set, sorted by row id."""

    row: Tensor
    target: Tensor
    prediction: Tensor
    metrics: dict[str, float]


def together(kept: list[Kept]) -> Kept:
    """Concatenates the rows of all batches and processes, sorted by row id; empties ``kept`` early to free memory."""
    row, target, outputs = (_gather(torch.cat(columns)) for columns in zip(*kept, strict=True))
    kept.clear()
    order = row.argsort()
    return row[order], target[order], outputs.index_select(0, order)


def evaluate(rows: Kept, task: Task, loss: nn.Module, metrics: Mapping[str, Metric]) -> Evaluation:
    """Computes predictions, loss and metrics of all rows at once.

    Args:
        rows: All rows.
        task: Task of the model.
        loss: Loss module.
        metrics: Metrics by name; their values are NaN if any prediction is not finite.
    """
    row, target, outputs = rows
    prediction = task.predict(outputs)
    values = {"loss": float(loss_of(loss, outputs, task.loss_target(target, outputs.dtype)))}
    for name, metric in metrics.items():
        values[name] = torch.nan
        if prediction.isfinite().all():  # argmax and rank of NaN are numbers without meaning
            metric.to(prediction.device).reset()
            metric.update(prediction, task.metric_target(target))
            values[name] = float(metric.compute())
            metric.reset()
    return Evaluation(row, target, prediction, values)


def _gather(local: Tensor) -> Tensor:
    """Concatenates the rows of all processes, whose numbers of rows may differ."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return local
    return torch.cat(gather_all_tensors(local))
