"""Batches of a model: dictionaries, as the loaders of ``datamodules`` yield them, or tuples of any other loader."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lit_models.errors import ConfigError
from lit_models.tasks.base import TaskName

Batch = dict[str, Tensor]
"""``x``: inputs, ``y``: targets, ``row``: row ids; ``categories`` and ``lengths`` if the data have them; ``share``:
factor of the loss in a last training batch that does not divide evenly over devices."""

TARGETS: dict[TaskName, str] = {
    "binary": "(N,) of 0 and 1",
    "multiclass": "(N,) class indices from 0 to {last}",
    "multilabel": "(N, {outputs}) of 0 and 1",
    "regression": "(N, {outputs}) numbers",
}


@dataclass(frozen=True)
class BatchFormat:
    """Format of a model's batches."""

    task: TaskName
    input_shape: tuple[int, ...]
    num_outputs: int
    categories: int  # categorical columns of a table
    has_tokens: bool  # x is token ids

    def read(self, batch: Any, dtype: torch.dtype, has_targets: bool = True) -> Batch:
        """Returns the batch of any loader as a dictionary.

        Inputs get the ``dtype`` of the weights, and class indices are int64 (N,). Raises ``ConfigError`` for a batch
        that does not fit the model.
        """
        named = _named(batch)
        if not self._fits(named, has_targets):
            shape = ", ".join(map(str, self.input_shape))
            categories = f", categories (N, {self.categories}) int64" if self.categories else ""
            targets = TARGETS[self.task].format(last=self.num_outputs - 1, outputs=self.num_outputs)
            raise ConfigError(
                f"a batch is a tuple (x, y) or a dictionary with x (N, {shape}){categories} and y {targets}, and this "
                f"one is {_described(batch)}; return such batches from the data loader"
            )
        if not self.has_tokens:
            named["x"] = named["x"].to(dtype)
        if has_targets and self.task in ("binary", "multiclass"):
            named["y"] = named["y"].reshape(-1).long()
        return named

    def _fits(self, named: Batch, has_targets: bool) -> bool:
        names = ["x", *["y"] * has_targets, *["categories"] * bool(self.categories)]
        if not all(isinstance(named.get(name), Tensor) for name in names):
            return False
        x, y = named["x"], named.get("y")
        shape, sizes = self.input_shape, tuple(x.shape[1:])
        padded = "lengths" in named and sizes[:-1] == shape[:-1] and sizes[-1:] <= shape[-1:]
        if sizes != shape and not padded:
            return False
        if y is None or not has_targets:
            return True
        values = self.num_outputs if self.task in ("multilabel", "regression") else 1
        is_whole = self.task == "regression" or not y.is_floating_point() or bool((y == y.round()).all())
        return len(y) == len(x) and y.numel() == len(x) * values and is_whole


def _named(batch: Any) -> Batch:
    """Returns the tensors of a batch by their names; of a batch in another form none."""
    if isinstance(batch, Mapping):
        return dict(batch)
    if isinstance(batch, Sequence) and len(batch) <= 2:
        return dict(zip("xy", batch, strict=False))
    return {"x": batch}


def _described(batch: Any) -> str:
    if isinstance(batch, Tensor):
        return f"{str(batch.dtype).removeprefix('torch.')} {tuple(batch.shape)}"
    if isinstance(batch, Mapping):
        return f"a dictionary with {', '.join(f'{name} {_described(value)}' for name, value in batch.items())}"
    if isinstance(batch, list | tuple):
        return f"a tuple of {', '.join(map(_described, batch[:4]))}{', ...' * (len(batch) > 4)}"
    return type(batch).__name__


def row_ids(y: Tensor, evaluated: Sequence[Tensor], devices: int) -> Tensor:
    """Returns the ids (N,) of rows with targets ``y``, counted on from those of the batches before.

    Raises ``ConfigError`` for several devices, of which a row's position does not follow.
    """
    if devices > 1:
        raise ConfigError(
            "batches without row ids cannot be evaluated on several devices, where Lightning's sampler repeats rows; "
            "evaluate on one device, or give each batch its ids as row and each row to one device"
        )
    return torch.arange(len(y), device=y.device) + sum(map(len, evaluated))
