"""Private state of torch's learning rate schedulers, read in torch 2.13."""

from typing import Any

LENGTHS = ("T_max", "total_steps", "_milestones")
"""Entries of a scheduler's state that follow from the length of the run."""


def scale_learning_rates(scheduler: Any, factor: float) -> None:
    """Multiplies the learning rates inside a scheduler and the schedulers that it is made of."""
    for inner in (scheduler, *getattr(scheduler, "_schedulers", ())):
        for name in ("base_lrs", "_last_lr"):
            if hasattr(inner, name):
                setattr(inner, name, [rate * factor for rate in getattr(inner, name)])


def scheduler_lengths(state: dict[str, Any]) -> list[Any]:
    """Returns the entries of a scheduler's state that follow from the length of the run, nested as its schedulers."""
    inner = [scheduler_lengths(scheduler) for scheduler in state.get("_schedulers", ())]
    return [[state.get(name) for name in LENGTHS], *inner]
