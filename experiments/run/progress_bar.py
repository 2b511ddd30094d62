"""Progress: a bar on a terminal, a line an epoch anywhere else."""

import sys
import time
from collections.abc import Iterator
from typing import Any, cast

from jsonargparse import Namespace
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from typing_extensions import override

from experiments.internals.lightning_private import TitledProgressBar
from experiments.run.time_left import TimeLeft, may_stop, of_epochs
from experiments.terminal import decimal, duration, say
from lit_models import LitModel

REFRESH_SECONDS = 0.2
"""Between two refreshes of the bar; drawing it at every step would slow small networks down."""


def progress_bar(trainer_arguments: Namespace, callbacks: list[Callback], length_typed: bool) -> Iterator[Callback]:
    """Yields the bar that fits stdout, unless progress is turned off or the callbacks have a bar."""
    off = trainer_arguments.get("enable_progress_bar") is False or trainer_arguments.get("barebones")
    if not off and not any(isinstance(callback, ProgressBar) for callback in callbacks):
        yield Bar() if sys.stdout.isatty() else EpochLines(length_typed)


class EpochMetrics(ProgressBar):
    """Progress that shows only values of the epoch that it names, and the time left."""

    validated_epoch = -1

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.time_left = TimeLeft()

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self.time_left.start(trainer)

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_validation_end(trainer, pl_module)
        if not trainer.sanity_checking:
            self.validated_epoch = trainer.current_epoch


class Bar(EpochMetrics, TitledProgressBar):
    """Lightning's bar, refreshed by time, counting epochs from one, with the metrics of the last epoch."""

    block_by_block = True

    def __init__(self) -> None:
        super().__init__(refresh_rate=round(1 / REFRESH_SECONDS))
        self._drawn = 0.0

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        done = trainer.fit_loop.epoch_loop.batch_progress.current.ready  # batch_idx is the first of a block of steps
        if time.perf_counter() - self._drawn > REFRESH_SECONDS or trainer.is_last_batch:
            super().on_train_batch_end(trainer, pl_module, outputs, batch, done - 1)
            self._drawn = time.perf_counter()

    @override
    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        validated = self.validated_epoch >= trainer.current_epoch - 1
        return {name: decimal(value) for name, value in _epoch_metrics(trainer, pl_module, validated).items()}

    @override
    def epoch_title(self, current_epoch: int) -> str:
        seconds, limit = self.time_left.seconds(self.trainer, current_epoch), self.trainer.max_epochs
        most = "≤" if may_stop(self.trainer) else ""  # in words it would leave the metrics too little of 80 columns
        of = "" if limit in (None, -1) else f"/{most}{limit}"
        return f"epoch {current_epoch + 1}{of}" + (f", {most}{duration(seconds)} left" if seconds > 0 else "")


class EpochLines(EpochMetrics):
    """One line for each epoch, without colours or carriage returns, for logs.

    Args:
        length_typed: Whether the number of epochs was typed, or else was chosen for the data.
    """

    def __init__(self, length_typed: bool) -> None:
        super().__init__()
        self.length_typed = length_typed
        self._started = 0.0
        self._finished_epoch: tuple[str, str, bool] | None = None

    @override
    def disable(self) -> None:
        """Does nothing: Lightning disables the bar on all ranks but 0, which print nothing anyway."""

    @override
    def enable(self) -> None:
        """Does nothing, see ``disable``."""

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._started = time.perf_counter()  # an epoch that is resumed inside does not start again

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._print(trainer, pl_module)  # metrics of the last epoch are complete only now
        self._started = time.perf_counter()

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # A callback may change max_epochs at the end.
        epoch = f"{trainer.current_epoch + 1}{of_epochs(trainer, self.length_typed)}"
        validated = self.validated_epoch == trainer.current_epoch
        self._finished_epoch = (epoch, f"{time.perf_counter() - self._started:.1f} s", validated)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._print(trainer, pl_module, ended=True)

    def _print(self, trainer: Trainer, pl_module: LightningModule, ended: bool = False) -> None:
        if self._finished_epoch is None or not trainer.is_global_zero:
            return
        (epoch, seconds, validated), self._finished_epoch = self._finished_epoch, None
        values = [f"{name} {decimal(value)}" for name, value in _epoch_metrics(trainer, pl_module, validated).items()]
        left = "" if ended else self.time_left.sentence(trainer, trainer.current_epoch)
        say(f"epoch {epoch}  {'  '.join(values)}  {', '.join(filter(None, (seconds, left)))}")


def _epoch_metrics(trainer: Trainer, pl_module: LightningModule, validated: bool) -> dict[str, float]:
    logged = trainer.callback_metrics
    names = ("train/loss", "val/loss", f"val/{cast(LitModel, pl_module).task.rank_by}")
    return {name: float(logged[name]) for name in names[: 3 if validated else 1] if name in logged}
