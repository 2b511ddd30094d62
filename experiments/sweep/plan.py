"""The runs of a sweep, named and placed."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from experiments.sweep.grid import Run, Settings
from lit_models.errors import ConfigError

BARE = ("config", "data", "model")
"""Keys whose values speak for themselves in a name."""

LONGEST = 120
"""Characters of a run's name; a folder's may have 255."""


def label_of(settings: Settings, grid: dict[str, list[str]], model: str) -> str:
    """A name a person can read, the same in every sweep with this grid: ``LitMLP-lr=1e-3``.

    Args:
        settings: The combination.
        grid: All values.
        model: The class that it trains, which stands ahead where the grid does not name it.
    """
    parts = [] if {"model", "config"} & settings.keys() else [model]
    for key, value in sorted(settings.items(), key=lambda setting: setting[0] not in BARE):
        said = _said(key, value)
        if [_said(key, other) for other in grid[key]].count(said) > 1:  # two that differ in what was left out
            said += f"_{_digest(value)}"
        parts.append(said if key in BARE else f"{_short(key, list(grid))}={said}")
    label = "-".join(parts)
    label = label if label[0].isalnum() else f"run-{label}"
    return label if len(label) <= LONGEST else f"{label[: LONGEST - 7]}-{_digest(label)}"


def _said(key: str, value: str) -> str:
    """A value in the letters that a folder's name may have."""
    if key == "config":
        value = Path(value).stem
    elif re.fullmatch(r"[A-Za-z_][\w.]*\.[A-Z]\w*", value):  # a class path
        value = value.rpartition(".")[2]
    said = re.sub(r"[^\w.+=@-]+", "_", value, flags=re.ASCII).strip("_")
    return (said if len(said) <= 40 else f"{said[:33]}_{_digest(value)}") or "empty"


def _short(key: str, keys: list[str]) -> str:
    """The end of a key that no other one has."""
    parts = key.split(".")
    for count in range(1, len(parts) + 1):
        end = ".".join(parts[-count:])
        if sum(f".{other}".endswith(f".{end}") for other in keys) == 1:
            return end
    return key


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:6]


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
