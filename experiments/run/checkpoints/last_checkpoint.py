"""``last.ckpt``: written at the end of every epoch, every so many steps, and when a run is interrupted."""

from pathlib import Path
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from experiments import exit_codes
from experiments.exit_codes import Diverged, Interrupted, SaveError
from experiments.run.checkpoints.loop_state import batches, epochs, is_boundary

AGREE_EVERY = 10
"""Steps between two questions to the other processes whether one of them was told to stop."""


class LastCheckpoint(Checkpoint):
    """Saves at step boundaries only: after the optimizer's step, with no gradients kept and no validation due.

    A step that failed half way is not saved, since its batch norm has seen a batch that its weights have not; then the
    file of the last boundary stays. Nor is the inside of an epoch where a loader cannot say how far it is
    (``state_dict``), or where a plateau schedule steps after the batch: those runs go back to the epoch's start.

    Args:
        path: The file.
        every_n_steps: Optimizer steps between two saves within an epoch; None for none.
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

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From now on a signal waits for the next boundary; a second one does not."""
        self._saved = self._now(trainer)
        self._next = self._after(trainer.global_step)
        self._handlers = exit_codes.take_over(self._on_signal)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save where it is time to, and where the boundary allows it."""
        if self.every_n_steps and trainer.global_step >= self._next:
            self._due, self._next = True, self._after(trainer.global_step)
        stop = self.signal
        if trainer.world_size > 1:
            stop = self._agreed(trainer) if batch_idx % AGREE_EVERY == 0 else None
        if (self._due or stop is not None) and is_boundary(trainer):
            self._save_and_stop(trainer, stop)

    def at_epoch_start(self, trainer: Trainer) -> None:
        """Save what the epoch before has come to."""
        stop = self._agreed(trainer)
        if epochs(trainer).processed:
            self._save_and_stop(trainer, stop)
        elif stop is not None:
            raise Interrupted(stop)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the whole training."""
        stop = self._agreed(trainer)
        exit_codes.give_back(self._handlers)
        self._save_and_stop(trainer, stop)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save what a failing loader, or anything else between two steps, leaves behind."""
        exit_codes.give_back(self._handlers)
        batch = batches(trainer)
        whole = trainer.training and batch.ready == batch.completed and batch.ready > 0
        alone = trainer.world_size == 1  # the other processes may be anywhere
        told = isinstance(exception, Interrupted | Diverged | SaveError)
        if whole and alone and not told and is_boundary(trainer):
            self.save(trainer)

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise Interrupted(signum)
        self.signal = signum

    def _agreed(self, trainer: Trainer) -> int | None:
        """The signal that this process got, or SIGTERM where another one was told to stop."""
        if trainer.world_size > 1 and trainer.strategy.reduce_boolean_decision(self.signal is not None, all=False):
            return self.signal or 15
        return self.signal

    def _save_and_stop(self, trainer: Trainer, stop: int | None) -> None:
        self.save(trainer)
        if stop is not None:
            raise Interrupted(stop)

    def save(self, trainer: Trainer) -> None:
        """Write the file, unless it holds this step already."""
        if self._saved != self._now(trainer):
            for logger in trainer.loggers:
                logger.save()  # a resumed run logs nothing from before the checkpoint again
            trainer.save_checkpoint(self.path)
            self._saved = self._now(trainer)
        self._due = False

    def _after(self, step: int) -> int:
        """The next multiple, so that a resumed run saves at the same steps."""
        return step - step % (self.every_n_steps or 1) + (self.every_n_steps or 1)

    @staticmethod
    def _now(trainer: Trainer) -> tuple[int, int]:
        return trainer.global_step, epochs(trainer).processed


class EpochBoundary(Callback):
    """Has ``last.ckpt`` written ahead of every other callback's ``on_train_epoch_start``, which a resumed run repeats.

    And ahead of their ``on_train_end``, where weight averaging puts the average in place of the weights that a longer
    run goes on with.

    Args:
        last: Who writes it.
    """

    def __init__(self, last: LastCheckpoint) -> None:
        self.last = last

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The epoch before is over, its plateau schedule stepped."""
        self.last.at_epoch_start(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """So is the training."""
        self.last.save(trainer)
