"""Progress: a bar on a terminal, a line an epoch anywhere else."""

import sys
import time
from collections.abc import Iterator
from typing import Any, cast

from jsonargparse import Namespace
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar, RichProgressBar

from lit_models import LitModel

REFRESH_SECONDS = 0.2
"""Between two refreshes of the bar; drawing it at every step would slow small networks down."""


def progress_bar(settings: Namespace, callbacks: list[Callback]) -> Iterator[Callback]:
    """The bar that fits where stdout goes, unless progress was turned off or the callbacks have a bar."""
    off = settings.get("enable_progress_bar") is False or settings.get("barebones")
    if not off and not any(isinstance(one, ProgressBar) for one in callbacks):
        yield Bar() if sys.stdout.isatty() else EpochLines()


class Bar(RichProgressBar):
    """Lightning's bar, refreshed by time, counting epochs from one, with the last epoch's numbers."""

    block_by_block = True

    def __init__(self) -> None:
        super().__init__(refresh_rate=round(1 / REFRESH_SECONDS))
        self._drawn = 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Draw the bar where it is time to, at the last step and at the epoch's end."""
        done = trainer.fit_loop.epoch_loop.batch_progress.current.ready  # of a block of steps, batch_idx is the first
        if time.perf_counter() - self._drawn > REFRESH_SECONDS or trainer.is_last_batch:
            super().on_train_batch_end(trainer, pl_module, outputs, batch, done - 1)
            self._drawn = time.perf_counter()

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """The numbers that stand beside the bar."""
        return {name: f"{value:.4f}" for name, value in _numbers(trainer, pl_module).items()}

    def _get_train_description(self, current_epoch: int) -> str:
        return f"epoch {current_epoch + 1}{_total(self.trainer)}"


class EpochLines(ProgressBar):
    """One line for each epoch, without colours or carriage returns, for logs."""

    def __init__(self) -> None:
        super().__init__()
        self._started = 0.0
        self._done: tuple[str, float] | None = None

    def disable(self) -> None:
        """Lightning calls this on all processes but the first; nothing is printed there anyway."""

    def enable(self) -> None:
        """The counterpart of ``disable``."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count: an epoch that is resumed inside does not start again."""
        self._started = time.perf_counter()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the epoch before, whose metrics are complete only now."""
        self._print(trainer, pl_module)
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note which epoch it was, of how many, which a callback may change at the end, and how long it took."""
        self._done = (f"{trainer.current_epoch + 1}{_total(trainer)}", time.perf_counter() - self._started)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the last epoch."""
        self._print(trainer, pl_module)

    def _print(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._done is None or not trainer.is_global_zero:
            return
        (epoch, seconds), self._done = self._done, None
        values = [f"{name} {value:.4f}" for name, value in _numbers(trainer, pl_module).items()]
        print(f"epoch {epoch}  {'  '.join(values)}  {seconds:.1f} s", flush=True)


def _numbers(trainer: Trainer, pl_module: LightningModule) -> dict[str, float]:
    logged = trainer.callback_metrics
    wanted = ("train/loss", "val/loss", f"val/{cast(LitModel, pl_module).task.rank_by}")
    return {name: float(logged[name]) for name in wanted if name in logged}


def _total(trainer: Trainer) -> str:
    return "" if trainer.max_epochs in (None, -1) else f"/{trainer.max_epochs}"
