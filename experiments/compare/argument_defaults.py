"""Arguments that an earlier version did not have: absent in its records, they had their defaults."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from typing import Any, get_args

from experiments.compare.groups import grouped
from experiments.compare.load_runs import Run, Unusable, read_config
from experiments.earlier_settings import EARLIER
from experiments.run.record.hyperparameters import Setting, nullable_settings

MODULES = (
    *("lit_models", "datamodules", "lit_models.schedules", "torch.optim", "torch.optim.lr_scheduler", "torch.nn"),
    *("torchmetrics", "lightning.pytorch", "lightning.pytorch.callbacks", "lightning.pytorch.strategies"),
)
"""Modules whose classes a record names without their module, see ``OUR_PACKAGES``; no other code is imported."""


def with_defaults(runs: Sequence[Run]) -> list[Run]:
    """Adds to each run the options that it lacks of an otherwise equal run, where their class has a default.

    An option that is null in the run's own ``config.yaml`` is not absent. Torch is imported for absent options alone.
    """
    complete: list[Run] = []
    owners = sorted({name.rpartition(".")[0] for run in runs for name in run.configuration})

    def classes(run: Run) -> tuple[object, ...]:
        return run.task, run.rank_by, run.fingerprints[0], *map(run.configuration.get, owners)

    for kind in grouped(runs, classes):
        shared = sorted(set.intersection(*({*run.configuration} for run in kind)))
        values = {run: tuple(run.configuration[name] for name in shared) for run in kind}
        for alike in grouped(kind, values.__getitem__):
            names = {name for run in alike for name in run.configuration}
            for run in alike:
                absent = _absent(run, names)
                complete.append(replace(run, settings=run.settings | absent) if absent else run)
    return sorted(complete, key=lambda run: run.path)


def default_of(name: str, settings: Mapping[str, Setting]) -> Setting | None:
    """Returns the default of an option; None if there is none, or if the class is not one of ``MODULES``."""
    words = name.split(".")
    for end in range(len(words) - 1, 0, -1):
        owner = ".".join(words[:end])
        if owner == "trainer":
            return _default("Trainer", *words[end:])
        if owner in settings:
            return None if f"{owner}.class_path" in settings else _default(str(settings[owner]), *words[end:])
    return None


def _absent(run: Run, names: set[str]) -> dict[str, Setting]:
    """Returns the defaults of those options that are not in a run's configuration, not even as null."""
    lacking = names - run.configuration.keys()
    if not lacking:
        return {}
    try:
        nulls = {name for name, value in nullable_settings(read_config(run.path)).items() if value is None}
    except Unusable:
        return {}
    absent = [name for name in lacking if not any(f"{name}.".startswith(f"{null}.") for null in nulls)]
    defaults = {name: EARLIER.get(name, default_of(name, run.settings)) for name in absent}
    return {name: default for name, default in defaults.items() if default is not None}


@lru_cache
def _default(class_name: str, *words: str) -> Setting | None:
    for module in MODULES:
        try:
            cls = getattr(import_module(module), class_name, None)
        except ImportError:
            continue
        if isinstance(cls, type):
            default = _of_parameter(cls, words)
            default = str(list(default)) if isinstance(default, tuple | list) else default
            return default if isinstance(default, Setting) else None
    return None


def _of_parameter(cls: type, words: Sequence[str]) -> Any:
    """Returns the default of a parameter of a class or its bases, or of a dataclass that is a parameter."""
    for base in cls.__mro__[:-1]:
        try:
            parameter = inspect.signature(base).parameters.get(words[0])
        except (TypeError, ValueError):
            continue
        if parameter is not None:
            if len(words) == 1:
                return None if parameter.default is inspect.Parameter.empty else parameter.default
            inner = (parameter.annotation, *get_args(parameter.annotation))
            defaults = [_of_parameter(each, words[1:]) for each in inner if isinstance(each, type)]
            return next((default for default in defaults if default is not None), None)
    return None
