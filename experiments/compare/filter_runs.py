"""Selects runs by their options: ``--where model.dropout=0.1``."""

import difflib
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from experiments.cli.typed_settings import setting_name
from experiments.compare.configuration_identity import spelled
from experiments.compare.load_runs import Run, Unusable, read_config
from experiments.run.record.hyperparameters import OUR_PACKAGES, Setting, nullable_settings
from lit_models.errors import ConfigError

RECORDED = {"trainer.max_epochs": "max_epochs", "seed_everything": "seed"}
"""Names in a record, by those on the command line."""


def select(runs: Sequence[Run], conditions: Iterable[str]) -> list[Run]:
    """Returns the runs that meet every condition.

    Args:
        runs: Finished runs.
        conditions: ``NAME=VALUE`` each, by an option's name on the command line; numbers are compared as numbers.

    Raises:
        ConfigError: For a condition of another form, an option that no run has, or if no run is left.
    """
    kept = list(runs)
    for condition in conditions:
        typed, equals, value = condition.partition("=")
        name = RECORDED.get(typed, setting_name(typed))
        if not equals:
            raise ConfigError(f"--where {condition} is not of the form NAME=VALUE, as in model.dropout=0.1")
        settings = {run: run.settings if name in run.settings else _written(run) for run in runs}
        if runs and not any(name in options for options in settings.values()):
            names = sorted({option for run in runs for option in run.settings})
            near = difflib.get_close_matches(name, names, n=4, cutoff=0.5) or names[:10]
            raise ConfigError(f"--where {condition}: no run has a setting {name}; nearest: {', '.join(near)}")
        values = {run: settings[run][name] for run in kept if name in settings[run]}
        kept = [run for run, setting in values.items() if _equal(name, setting, value) or _is_class(name, run, value)]
        if runs and not kept:
            found = ", ".join(sorted({str(setting) for setting in values.values()})[:10])
            raise ConfigError(f"--where {condition} leaves no run; {name} is {found or 'not set'}")
    return kept


def _written(run: Run) -> dict[str, Any]:
    """Returns what a record leaves out of the configuration: options of value None, and those of the command."""
    try:
        config = read_config(run.path)
    except Unusable:
        return {}
    return nullable_settings(config) | {key: value for key, value in config.items() if not isinstance(value, dict)}


def _equal(name: str, setting: Setting | None, value: str) -> bool:
    """Returns True if a typed value is that of an option, in any spelling that a configuration may have of it."""
    if isinstance(setting, bool) or setting is None:
        return value.lower() == ("null" if setting is None else str(setting).lower())
    if isinstance(setting, int | float):
        return any(spelled(name, number) == spelled(name, setting) for number in _numbers(value))
    first, second = str(setting), value
    if first.startswith(("[", "(", "{")):
        first, second = (re.sub(r"[\s'\"]", "", text) for text in (first, second))
    return spelled(name, first) == spelled(name, second)


def _numbers(value: str) -> list[int | float]:
    """Returns a typed number; empty for another word."""
    for convert in (int, float):
        with suppress(ValueError):
            return [convert(value)]
    return []


def _is_class(name: str, run: Run, path: str) -> bool:
    """Returns True if a typed class path is an option's: a record has the class's name, and the path if not ours."""
    recorded = run.settings.get(f"{name}.class_path")
    return (
        path == recorded if recorded else path.startswith(OUR_PACKAGES) and path.endswith(f".{run.settings.get(name)}")
    )
