"""``last.ckpt``: written at the end of every epoch, every few steps if the user wants, and on interruption."""

import signal
from pathlib import Path
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from typing_extensions import override

from experiments.exit_codes import Diverged, Interrupted, SaveError, install_handler, interrupt, restore_handlers
from experiments.run.checkpoints.loop_state import batch_counts, epoch_counts, is_boundary

AGREE_EVERY = 10
"""Batches between two exchanges of signals among the processes of a run."""


class LastCheckpoint(Checkpoint):
    """Saves at step boundaries only: after the optimizer's step, with no gradients kept and no validation due.

    A step that failed half-way is not saved, since its batch norm has seen a batch that its weights have not; the file
    of the last boundary stays. Nothing is saved within an epoch if a loader has no ``state_dict``, or a plateau
    schedule steps after the batch; those runs resume at the epoch's start. ``every_n_steps`` counts the optimizer's.
    """

    block_by_block = True

    def __init__(self, path: Path, every_n_steps: int | None = None) -> None:
        self.path = path
        self.every_n_steps = every_n_steps
        self.signal: int | None = None
        self._due = False
        self._next = 0
        self._saved: tuple[int, int] | None = None
        self._handlers: dict[int, Any] = {}

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._saved = self._counts(trainer)
        self._next = self._next_multiple(trainer.global_step)
        self._handlers = install_handler(self._on_signal)

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.every_n_steps and trainer.global_step >= self._next:
            self._due, self._next = True, self._next_multiple(trainer.global_step)
        signum = self.signal
        if trainer.world_size > 1:
            signum = self.signal_of_any_rank(trainer) if batch_idx % AGREE_EVERY == 0 else None
        if (self._due or signum is not None) and is_boundary(trainer):
            self.save(trainer, signum)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        signum = self.signal_of_any_rank(trainer)
        restore_handlers(self._handlers)
        self.save(trainer, signum)

    @override
    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        restore_handlers(self._handlers)
        batch = batch_counts(trainer)
        between_steps = trainer.training and batch.ready == batch.completed and batch.ready > 0
        alone = trainer.world_size == 1  # other ranks may be at any step
        handled = isinstance(exception, Interrupted | Diverged | SaveError)
        if between_steps and alone and not handled and is_boundary(trainer):
            self.save(trainer)

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        if self.signal is not None:  # the second signal does not wait for a boundary
            interrupt(signum, frame)
        self.signal = signum

    def signal_of_any_rank(self, trainer: Trainer) -> int | None:
        """Returns the signal of this process, or SIGTERM if another one got a signal."""
        if trainer.world_size > 1 and trainer.strategy.reduce_boolean_decision(self.signal is not None, all=False):
            return self.signal or signal.SIGTERM
        return self.signal

    def save(self, trainer: Trainer, signum: int | None = None) -> None:
        """Writes the file, unless nothing was trained since the last time; ends the run after a signal."""
        if self._saved != self._counts(trainer):
            for logger in trainer.loggers:
                logger.save()  # a resumed run does not log again what is before the checkpoint
            trainer.save_checkpoint(self.path)
            self._saved = self._counts(trainer)
        self._due = False
        if signum is not None:
            raise Interrupted(signum)

    def _next_multiple(self, step: int) -> int:
        """Returns the next multiple of ``every_n_steps``, so that a resumed run saves at the same steps."""
        return step - step % (self.every_n_steps or 1) + (self.every_n_steps or 1)

    @staticmethod
    def _counts(trainer: Trainer) -> tuple[int, int]:
        return trainer.global_step, epoch_counts(trainer).processed


class EpochBoundary(Callback):
    """Writes ``last.ckpt`` before all other callbacks' ``on_train_epoch_start``, which a resumed run repeats.

    And before their ``on_train_end``, where weight averaging replaces the weights that a longer run resumes from.
    """

    def __init__(self, last: LastCheckpoint) -> None:
        self.last = last

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.last.save(trainer, self.last.signal_of_any_rank(trainer))

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.last.save(trainer)
