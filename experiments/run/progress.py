"""Progress: a bar on a terminal, a line an epoch anywhere else."""

import sys
import time
from collections.abc import Iterator
from typing import cast

from jsonargparse import Namespace
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar, RichProgressBar

from lit_models import LitModel

REFRESH_EVERY = 20
"""Batches between two refreshes of the bar; drawing it at every step would slow small networks down."""


def progress_bar(settings: Namespace) -> Iterator[Callback]:
    """The bar that fits where stderr goes, unless progress was turned off."""
    if settings.get("enable_progress_bar") is not False and not settings.get("barebones"):
        yield RichProgressBar(REFRESH_EVERY, leave=False) if sys.stdout.isatty() else EpochLines()


class EpochLines(ProgressBar):
    """One line for each epoch, without colours or carriage returns, for logs."""

    def __init__(self) -> None:
        super().__init__()
        self._started = 0.0
        self._done: tuple[int, float] | None = None

    def disable(self) -> None:
        """Lightning calls this on all processes but the first; nothing is printed there anyway."""

    def enable(self) -> None:
        """The counterpart of ``disable``."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the epoch before, whose metrics are complete only now."""
        self._print(trainer, pl_module)
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note which epoch it was, and how long it took."""
        self._done = (trainer.current_epoch + 1, time.perf_counter() - self._started)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the last epoch."""
        self._print(trainer, pl_module)

    def _print(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._done is None or not trainer.is_global_zero:
            return
        (epoch, seconds), self._done = self._done, None
        wanted = ("train/loss", "val/loss", f"val/{cast(LitModel, pl_module).task.rank_by}")
        values = [
            f"{name} {float(trainer.callback_metrics[name]):.4f}" for name in wanted if name in trainer.callback_metrics
        ]
        total = "" if trainer.max_epochs in (None, -1) else f"/{trainer.max_epochs}"
        print(f"epoch {epoch}{total}  {'  '.join(values)}  {seconds:.1f} s", flush=True)
