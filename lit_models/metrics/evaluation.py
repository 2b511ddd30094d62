"""What one pass over an evaluation set comes to, on however many devices."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.utilities.distributed import gather_all_tensors

from lit_models.tasks import Task
from lit_models.training.loss_precision import loss_of

Kept = tuple[Tensor, Tensor, Tensor]
"""Of some rows the ids, the targets and the network's outputs."""


class Evaluation(NamedTuple):
    """What one pass over an evaluation set came to, its rows in the order of their ids."""

    row: Tensor
    target: Tensor
    prediction: Tensor
    metrics: dict[str, float]


def together(kept: list[Kept]) -> Kept:
    """The rows of all batches and processes in the order of their ids; ``kept`` is emptied as soon as it can be."""
    row, target, outputs = (_gather(torch.cat(columns)) for columns in zip(*kept, strict=True))
    kept.clear()
    order = row.argsort()
    return row[order], target[order], outputs.index_select(0, order)


def evaluate(rows: Kept, task: Task, loss: nn.Module, metrics: Mapping[str, Metric]) -> Evaluation:
    """Compute everything of all rows at once.

    Args:
        rows: All of them.
        task: What is asked.
        loss: The loss.
        metrics: By name, computed besides ``loss``; undefined (NaN) where a prediction is not finite.
    """
    row, target, outputs = rows
    prediction = task.predict(outputs)
    values = {"loss": float(loss_of(loss, outputs, task.loss_target(target, outputs.dtype)))}
    for name, metric in metrics.items():
        values[name] = torch.nan
        if prediction.isfinite().all():  # an argmax or a rank of NaN is a number, and means nothing
            metric.to(prediction.device).reset()
            metric.update(prediction, task.metric_target(target))
            values[name] = float(metric.compute())
            metric.reset()
    return Evaluation(row, target, prediction, values)


def _gather(local: Tensor) -> Tensor:
    """The rows of all processes, each of which may have another number of them."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return local
    return torch.cat(gather_all_tensors(local))
