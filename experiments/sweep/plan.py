"""The runs of a sweep, named and placed."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.sweep.grid import Run
from lit_models.errors import ConfigError

OF_THE_SWEEP = {
    "seed_everything": "type --seeds instead, also for a single one",
    "run": "leave it out, the runs are named by their settings",
    "ckpt_path": "leave it out, each run starts on its own or goes on where it was",
    "test_at_end": "leave it out, a search tests only what it chose",
}
"""Words of ``fit`` that a sweep gives to each run itself, and what to do about them."""


@dataclass(frozen=True)
class Combination:
    """Settings that several seeds are run with.

    Args:
        label: Its name.
        words: Of ``fit``, without the run's own.
        config: As parsed.
    """

    label: str
    words: tuple[str, ...]
    config: dict[str, Any]


def refuse_own(words: Sequence[str]) -> None:
    """Stop at a word that a sweep gives to each run itself.

    Raises:
        ConfigError: With the first.
    """
    for word in words:
        key = word.partition("=")[0].removeprefix("--")
        if word.startswith("--") and key in OF_THE_SWEEP:
            raise ConfigError(f"--{key} is no word of a sweep; {OF_THE_SWEEP[key]}")


def place(configs: Sequence[dict[str, Any]], experiment: str | None) -> Path:
    """The folder of the experiment, by the rule of ``fit``: as typed, else named after the data.

    Raises:
        ConfigError: Where there are several data sets and no name, or one that cannot be a folder's.
    """
    named = {experiment or config.get("experiment") or class_of(config, "data").lower() for config in configs}
    if len(named) > 1:
        raise ConfigError(f"the grid has several data sets ({', '.join(sorted(named))}); name it with --experiment")
    name = named.pop()
    if not re.fullmatch(r"\w[\w .+=,@-]*", name):
        raise ConfigError(f"--experiment {name!r} cannot name a folder; use letters, digits and . + = , @ _ -")
    return Path(configs[0]["trainer"].get("default_root_dir") or ".") / "runs" / name


def plan(
    combinations: Sequence[Combination], seeds: Sequence[int], splits: int | None, experiment: str
) -> list[tuple[Combination, Run]]:
    """Every combination with every seed on every split.

    Args:
        combinations: What differs in settings.
        seeds: Of the training.
        splits: How many splits, seeded 0, 1, ...; None for the one of the configuration.
        experiment: The folder's name.
    """
    planned = []
    for combination in combinations:
        for split in range(splits) if splits else [None]:
            for seed in seeds:
                name = combination.label + ("" if split is None else f"-split{split}") + f"-seed{seed}"
                resplit = [] if split is None else [f"--data.split_seed={split}"]
                own = (f"--seed_everything={seed}", *resplit, f"--experiment={experiment}", f"--run={name}")
                words = ("fit", *combination.words, *own)
                planned.append((combination, Run(name, combination.label, words, *resources(combination.config))))
    names = [run.name for _, run in planned]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"two runs would be named {twice[0]}; write the values of --grid so that they differ")
    return planned


def resources(config: dict[str, Any]) -> tuple[int, int | None]:
    """CPUs and GPUs that a run asks a cluster for, by its Trainer's accelerator and devices.

    A process takes ``OMP_NUM_THREADS`` CPUs, one where that is not set. None GPUs stands for one where there is any.
    """
    devices = config["trainer"].get("devices")
    count = len(devices) if isinstance(devices, list) else int(devices) if str(devices).isdecimal() else 1
    threads = os.environ.get("OMP_NUM_THREADS", "")
    cpus = count * (int(threads) if threads.isdecimal() else 1)
    accelerator = config["trainer"].get("accelerator")
    return cpus, 0 if accelerator == "cpu" else count if accelerator in ("gpu", "cuda") else None


def class_of(config: dict[str, Any], part: str) -> str:
    """The name of the class of ``model`` or ``data``."""
    return str(config[part]["class_path"]).rpartition(".")[2]
