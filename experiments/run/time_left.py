"""Estimate of the time that a training still takes, from the epochs and steps of this session."""

import time

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Timer

from experiments.terminal import duration


class TimeLeft:
    """Clock of a training session; a resumed run counts what it trains itself."""

    def __init__(self) -> None:
        self._started, self._epochs, self._steps = 0.0, 0, 0

    def start(self, trainer: Trainer) -> None:
        """Starts the clock before the session's first step."""
        self._started, self._epochs, self._steps = time.perf_counter(), trainer.current_epoch, trainer.global_step

    def sentence(self, trainer: Trainer, epochs: int) -> str:
        """Returns ``about 6 min left at most`` once so many epochs are trained; empty before the first and at the end.

        ``at most`` is left out if nothing may end the training early.
        """
        seconds = self.seconds(trainer, epochs)
        return f"about {duration(seconds)} left{' at most' if may_stop(trainer) else ''}" if seconds > 0 else ""

    def seconds(self, trainer: Trainer, epochs: int) -> float:
        """Returns the seconds to the limit by epochs, steps or time that comes first; 0 where none can be estimated."""
        elapsed, estimates = time.perf_counter() - self._started, list[float]()
        if trainer.max_epochs not in (None, -1) and epochs > self._epochs:
            estimates.append(elapsed / (epochs - self._epochs) * (trainer.max_epochs - epochs))
        if trainer.max_steps > 0 and trainer.global_step > self._steps:
            estimates.append(elapsed / (trainer.global_step - self._steps) * (trainer.max_steps - trainer.global_step))
        timers = [callback for callback in trainer.callbacks if isinstance(callback, Timer)]  # type: ignore[attr-defined]
        if estimates:
            estimates += [left for timer in timers if (left := timer.time_remaining()) is not None]
        return min(estimates, default=0.0)


def may_stop(trainer: Trainer) -> bool:
    """Returns True if the training may end before its last epoch, as by early stopping."""
    limited = any(isinstance(callback, Timer) for callback in trainer.callbacks)  # type: ignore[attr-defined]
    return bool(trainer.early_stopping_callbacks) or limited or trainer.max_steps > 0


def of_epochs(trainer: Trainer, is_typed: bool) -> str:
    """Returns the number of epochs to put behind an epoch's: ``/40``, or `` of at most 229``.

    The latter if it was chosen for the data, not typed, and the training may end earlier.
    """
    if trainer.max_epochs in (None, -1):
        return ""
    return f"{' of at most ' if may_stop(trainer) and not is_typed else '/'}{trainer.max_epochs}"
