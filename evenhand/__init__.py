"""Public face: ``from evenhand import TableData, LitMLP, fit, load``; nothing imports it.

A name is imported at first use. The names are those of ``datamodules``, ``lit_models``, of prediction and of ``api``.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from evenhand.own_packages import use_own_packages

use_own_packages()

_SOURCES = ("datamodules", "lit_models", "experiments.inference", "experiments.export", "evenhand.api")

_ESTIMATORS = ("EvenhandClassifier", "EvenhandRegressor")
"""Names that ``from evenhand import *`` leaves out without scikit-learn."""


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return [name for name in __dir__() if name not in _ESTIMATORS or find_spec("sklearn")]
    for source in _SOURCES:
        module = import_module(source)
        if name in dir(module):
            return getattr(module, name)
    raise AttributeError(f"evenhand has no {name!r}; dir(evenhand) lists its names", name=name)


def __dir__() -> list[str]:
    return sorted(name for source in _SOURCES for name in dir(import_module(source)))
