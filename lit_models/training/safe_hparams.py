"""Hyperparameters that a checkpoint holds without any code being needed to load them."""

import warnings
from typing import Any

import numpy
from lightning.pytorch import LightningModule


def save_plain_hyperparameters(module: LightningModule) -> None:
    """Saves those constructor arguments as hyperparameters that load with ``weights_only``; objects are left out."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*already saved during checkpointing.*")
        module.save_hyperparameters(logger=False)
    module.hparams.update({name: plain(value) for name, value in module.hparams.items()})
    module.remove_ignored_hparams([name for name, value in module.hparams.items() if not is_plain(value)])


def plain(value: Any) -> Any:
    """Converts NumPy's numbers, which do not load with ``weights_only``, to Python's."""
    if isinstance(value, list | tuple):
        return (list if isinstance(value, list) else tuple)(map(plain, value))
    return value.item() if isinstance(value, numpy.generic) else value


def is_plain(value: Any) -> bool:
    """Returns True for strings, numbers, booleans, None, and lists, tuples and dictionaries of them."""
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and is_plain([*value.values()])
    return all(map(is_plain, value)) if isinstance(value, list | tuple) else isinstance(value, str | int | float | None)
