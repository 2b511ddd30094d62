"""Computes the features of a frozen network once, in place of at every step."""

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import SingleDeviceStrategy
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from lit_models.training.batch import Batch

MAX_BYTES = 2**31
"""Most memory of the features of all rows."""


class FrozenFeatures:
    """Features (D,) of each train and validation row, by its id, in memory while a model is fitted.

    They are computed in the order of the first epoch whatever epoch a resumed run goes on in, so that it goes on with
    the same bits.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forgets all rows."""
        self._features, self._positions = torch.empty(0), torch.empty(0, dtype=torch.int64)

    def of(self, batch: Batch) -> Tensor | None:
        """Returns the features (n, D) of the rows of a batch; None if none were computed."""
        if not len(self._features) or "row" not in batch:
            return None
        return self._features.index_select(0, self._positions.index_select(0, batch["row"]))

    @staticmethod
    def obstacle(trainer: Trainer) -> str:
        """Returns why the features of the trainer's rows have to be computed at every step; empty if they need not."""
        data = getattr(trainer, "datamodule", None)
        if not isinstance(trainer.strategy, SingleDeviceStrategy):
            return "several devices divide the rows anew in each epoch"
        if data is None or not hasattr(data, "part_rows") or not hasattr(train := data.train_dataloader(), "set_epoch"):
            return "the rows of these loaders have no ids"
        if getattr(getattr(train, "transform", None), "draws", 0):
            return "augmentation changes the rows in each epoch"
        return ""

    def fill(self, trainer: Trainer, features: Callable[[Batch], Tensor]) -> str:
        """Computes the features of all train and validation rows, unless they are too many; shows a bar on a terminal.

        Args:
            trainer: Trainer whose data module has the rows, without an ``obstacle``.
            features: Returns the features (n, D) of a batch on the trainer's device.

        Returns:
            Why they have to be computed at every step; empty if they need not be.
        """
        data: Any = trainer.datamodule  # type: ignore[attr-defined]  # set from another class
        train, rows = data.train_dataloader(), data.part_rows()
        count = rows["train"] + rows["val"]
        found, ids, seen = list[Tensor](), list[Tensor](), set[int]()
        console = Console(stderr=True)
        with Progress(console=console, disable=not console.is_terminal, transient=True) as bar:
            task = bar.add_task("features", total=count)
            for batch in chain(_first_epochs(train), data.val_dataloader()):
                rows_here = batch["row"].tolist()
                is_new = torch.tensor([row not in seen for row in rows_here], device=batch["row"].device)
                seen.update(rows_here)
                if not is_new.any():
                    continue
                new = {name: value[is_new] for name, value in batch.items() if value.dim()}
                moved = trainer.precision_plugin.convert_input(trainer.strategy.batch_to_device(new))
                found.append(features(moved))
                ids.append(new["row"].cpu())
                bar.update(task, completed=len(seen))
                if found[0][:1].nbytes * count > MAX_BYTES:
                    return f"those of all rows take more than {MAX_BYTES >> 30} GiB of memory"
        if len(seen) < count:
            return "an epoch does not have every train row"
        self._features, device = torch.cat(found), found[0].device
        order = torch.cat(ids)
        self._positions = (
            torch.zeros(int(order.max()) + 1, dtype=torch.int64)
            .index_copy_(0, order, torch.arange(len(order)))
            .to(device)
        )
        return ""


def _first_epochs(train: Any) -> Iterable[Batch]:
    """Yields the batches of the first two epochs: one leaves out a row that would be a batch by itself."""
    for epoch in range(2):
        train.set_epoch(epoch)
        yield from train
