"""Selects runs by their options: ``--where model.dropout=0.1``."""

import difflib
from collections.abc import Iterable, Sequence

from experiments.cli.arguments import setting_name
from experiments.compare.load_runs import Run
from experiments.run.record.hyperparameters import Setting
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
        names = sorted({option for run in runs for option in run.settings})
        if runs and name not in names:
            near = difflib.get_close_matches(name, names, n=4, cutoff=0.5) or names[:10]
            raise ConfigError(f"--where {condition}: no run has a setting {name}; nearest: {', '.join(near)}")
        values = sorted({str(run.settings[name]) for run in kept if name in run.settings})
        kept = [run for run in kept if name in run.settings and _equal(run.settings[name], value)]
        if runs and not kept:
            raise ConfigError(f"--where {condition} leaves no run; {name} is {', '.join(values[:10]) or 'not set'}")
    return kept


def _equal(setting: Setting, value: str) -> bool:
    if isinstance(setting, bool):
        return value.lower() == str(setting).lower()
    try:
        return float(setting) == float(value)
    except ValueError:
        return str(setting).replace(" ", "") == value.replace(" ", "")
