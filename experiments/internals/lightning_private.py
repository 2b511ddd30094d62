"""Private parts of Lightning, read in 2.6.6: exact resume needs its loops' counters, and two defaults are replaced."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from lightning.fabric.plugins.precision.precision import _PRECISION_INPUT
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import RichProgressBar, WeightAveraging
from lightning.pytorch.loops.loop import _Loop
from lightning.pytorch.strategies.launchers import subprocess_script

PrecisionInput: TypeAlias = _PRECISION_INPUT
"""Type of ``Trainer(precision=...)``, from which jsonargparse takes the accepted names."""


def logged_steps(trainer: Trainer) -> int:
    """Returns the step that loggers count, which validations and accumulated batches do not advance."""
    return trainer.fit_loop.epoch_loop._batches_that_stepped


def is_accumulating(trainer: Trainer) -> bool:
    """Returns True between two batches of one optimizer step."""
    return trainer.fit_loop.epoch_loop._should_accumulate()


def is_last_batch(trainer: Trainer) -> bool:
    """Returns True once the epoch's last batch was fetched."""
    return trainer.fit_loop.epoch_loop._num_ready_batches_reached()


def is_validation_due(trainer: Trainer) -> bool:
    """Returns True if a validation follows the current batch, or nothing was fetched yet."""
    fetcher = trainer.fit_loop._data_fetcher
    return fetcher is None or trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher)


def begin_next_epoch(trainer: Trainer) -> None:
    """Lets a resumed run begin its epoch as any other, its iterator made after the sampler knows the epoch.

    The fit loop's own setter of ``restarting`` ignores False where the run's length is given in steps.
    """
    restarting: Any = _Loop.restarting
    restarting.fset(trainer.fit_loop, False)
    trainer.fit_loop._resuming_from_checkpoint = False


def end_restart(trainer: Trainer) -> None:
    """Ends the restart within an epoch; otherwise Lightning skips the plateau schedule at the end of this epoch."""
    trainer.fit_loop._restarting = False


def average_on(callback: WeightAveraging, device: torch.device) -> None:
    """Keeps averaged weights on a device if the user chose none: Lightning copies every step's to the CPU."""
    callback._device = callback._device or device


def observe_processes(observe: Callable[[Sequence[Any]], None]) -> None:
    """Replaces Lightning's observer of launched processes.

    It kills this process with SIGKILL within five seconds of a child's end: no message, no exit code, no record.
    """
    subprocess_script._launch_process_observer = observe  # type: ignore[attr-defined,assignment]


class TitledProgressBar(RichProgressBar):
    """Lightning's bar with a title of one's own for the training epoch."""

    def epoch_title(self, current_epoch: int) -> str:
        """Returns the title; ``current_epoch`` counts from 0."""
        raise NotImplementedError

    def _get_train_description(self, current_epoch: int) -> str:
        return self.epoch_title(current_epoch)
