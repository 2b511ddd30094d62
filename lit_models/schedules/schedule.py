"""A learning-rate scheduler with its interval, monitored metric and warm-up."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LinearLR, LRScheduler, SequentialLR

from lit_models.errors import ConfigError
from lit_models.schedules.schedulers import ReduceLROnPlateau

Factory = TypeVar("Factory", bound=Callable[..., Any])

SchedulerFactory = Callable[[Optimizer], LRScheduler]
"""A scheduler's class with all arguments but the optimizer, as ``--model.schedule.scheduler`` makes it."""

LENGTHS = ("total_steps", "T_max")  # names of schedulers' length, which is the whole run's if it is left out

SETTERS = (
    lr_scheduler.LambdaLR,
    lr_scheduler.CyclicLR,
    lr_scheduler.OneCycleLR,
    lr_scheduler.CosineAnnealingWarmRestarts,
)
"""Schedulers that overwrite the learning rate; the others multiply it."""


@dataclass
class Schedule:
    """Scheduler with when it steps.

    Args:
        scheduler: Any scheduler of torch; its length may be left out.
        interval: Step after every optimizer ``step`` or every ``epoch``; if it is left out, ``step`` for a scheduler
            whose length is filled in, ``epoch`` for the others.
        frequency: Step every so many intervals; a scheduler that monitors a validation metric only after a validation.
        monitor: Metric that ReduceLROnPlateau monitors, ``val/loss`` if it is left out.
        warmup: Linear rise of the rate ahead of the schedule: a number of steps, or a fraction of the run below 1.
    """

    scheduler: SchedulerFactory
    interval: Literal["step", "epoch"] | None = None
    frequency: int = 1
    monitor: str | None = None
    warmup: int | float = 0

    def __post_init__(self) -> None:
        if self.frequency < 1:
            raise ConfigError(f"schedule.frequency must be at least 1, and it is {self.frequency}")
        if self.warmup < 0 or (self.warmup >= 1 and self.warmup != int(self.warmup)):
            raise ConfigError(
                f"schedule.warmup is a number of steps or a fraction of the run below 1, and it is {self.warmup}"
            )
        self.scheduler = copyable(self.scheduler)
        cls = class_of(self.scheduler, LRScheduler)
        self.on_plateau = issubclass(cls, lr_scheduler.ReduceLROnPlateau)
        if self.monitor is None and self.on_plateau:
            self.monitor = "val/loss"
        if self.warmup and issubclass(cls, lr_scheduler.OneCycleLR):
            raise ConfigError("OneCycleLR warms up by itself (pct_start); leave schedule.warmup out")

    @property
    def mode(self) -> Literal["min", "max"] | None:
        """Typed direction of a plateau schedule; None without one."""
        return self._bound.get("mode") if class_of(self.scheduler, LRScheduler) is ReduceLROnPlateau else None

    @property
    def _bound(self) -> dict[str, Any]:
        return dict(getattr(self.scheduler, "keywords", {}))  # of a partial

    def build(
        self,
        optimizer: Optimizer,
        steps: Callable[[], int],
        epochs: int,
        direction: Literal["min", "max"],
        validation_every: int = 1,
    ) -> list[dict[str, Any]]:
        """Builds Lightning's ``lr_scheduler`` configurations.

        ``steps`` returns the optimizer steps of the whole run, and is called only if the schedule depends on them;
        ``epochs`` is -1 for no limit. The monitored metric is validated every so many epochs.
        """
        cls = class_of(self.scheduler, LRScheduler)
        parameters = inspect.signature(cls).parameters
        # ``epochs`` is the other form of OneCycleLR's length.
        missing = self._bound.get("epochs") is None
        open_lengths = [name for name in LENGTHS if missing and name in parameters and self._bound.get(name) is None]
        interval = self.interval or ("step" if open_lengths else "epoch")
        warmup = self._warmup_steps(steps)
        if interval == "step" and self.frequency > 1 and (open_lengths or warmup):
            # Lightning restarts its count in every epoch, and counts batches if gradients are accumulated.
            raise ConfigError(
                f"a schedule by steps with the run's length or a warm-up steps every step; "
                f"leave schedule.frequency {self.frequency} out, or set interval to epoch"
            )
        filled: dict[str, Any] = {}
        if open_lengths:
            length = steps() - warmup if interval == "step" else epochs
            if length < 1:
                raise ConfigError(
                    f"{cls.__name__} has no {interval}s left to go: {length} after {warmup} steps of warm-up; "
                    "set --trainer.max_epochs or schedule.warmup"
                )
            filled = dict.fromkeys(open_lengths, -(-length // self.frequency))
        if self.on_plateau:
            if self.mode not in (None, direction):
                raise ConfigError(f"{self.monitor} is best at its {direction}imum; leave the scheduler's mode out")
            filled["mode"] = direction
        config: dict[str, Any] = {"interval": interval, "frequency": self.frequency, "name": "lr"}
        if self.on_plateau:
            config["monitor"] = self.monitor
            if interval == "epoch" and self.monitor and self.monitor.startswith("val/"):
                config["frequency"] = math.lcm(self.frequency, validation_every)
        if warmup and interval == "step":
            ramp = _ramp(optimizer, warmup)
            main = self.scheduler(optimizer, **filled)
            return [config | {"scheduler": SequentialLR(optimizer, [ramp, main], milestones=[warmup])}]
        if warmup and issubclass(cls, SETTERS):
            raise ConfigError(f"{cls.__name__} would erase the warm-up at the first epoch's end; set interval to step")
        # A schedule by epochs and a ramp by steps both multiply the rate. The ramp is created last, since it starts by
        # multiplying the current rate.
        configs = [config | {"scheduler": self.scheduler(optimizer, **filled)}]
        if warmup:
            configs.append({"scheduler": _ramp(optimizer, warmup), "interval": "step", "name": "warmup"})
        return configs

    def _warmup_steps(self, steps: Callable[[], int]) -> int:
        if self.warmup >= 1 or not self.warmup:
            return int(self.warmup)
        # At least one step, so that an extended run has the schedulers that it had before.
        return min(max(1, round(self.warmup * (run := steps()))), run - 1)


def class_of(factory: Callable[..., Any], default: type) -> type:
    """Returns the class that a factory makes an object of; ``default`` if it is a function."""
    parts = (factory.func, *factory.args) if isinstance(factory, partial) else (factory,)
    return next((part for part in parts if isinstance(part, type)), default)


def copyable(factory: Factory) -> Factory:
    """Returns a factory of an optimizer or scheduler without the parser that jsonargparse 4.53 binds to it.

    A deep copy of a model, as ``WeightAveraging`` makes one, would copy the whole parser.
    """
    if isinstance(factory, partial) and factory.func.__module__.partition(".")[0] == "jsonargparse":
        return partial(class_of(factory, object), **factory.keywords)  # type: ignore[return-value]
    return factory


def _ramp(optimizer: Optimizer, steps: int) -> LinearLR:
    """Returns a rise from 1 / (steps + 1) of the rate, so that the first step moves, to all of it after ``steps``."""
    return LinearLR(optimizer, start_factor=1 / (steps + 1), total_iters=steps)
