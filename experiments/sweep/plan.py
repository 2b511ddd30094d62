"""The runs of a sweep: their names, words and requested resources."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from experiments.compare.groups import short_name
from experiments.sweep.grid import Run, Settings
from lit_models.errors import ConfigError

BARE = ("config", "data", "model")
"""Keys that are left out of a name, since their values are clear without them."""

LONGEST = 120
"""Characters of a run's name; a folder's may have 255."""


@dataclass(frozen=True)
class Combination:
    """Settings that several seeds are run with."""

    label: str
    words: tuple[str, ...]  # of fit, without those of one run
    config: dict[str, Any]
    text: str  # the configuration as YAML
    curve: str = ""  # label without data.train_fraction, common to the runs of a learning curve; empty for none


@dataclass(frozen=True)
class Repeats:
    """Splits or folds that each combination is run on."""

    splits: int | None = None  # data.split_seed 0, 1, ...
    folds: int | None = None  # data.fold 0, 1, ... of data.folds, which the combination's words have

    def each(self) -> list[tuple[str, int | None, list[str]]]:
        """Returns the suffix of the run's name, the fold and the words of each."""
        if self.folds is not None:
            return [(f"-fold{fold}", fold, [f"--data.fold={fold}"]) for fold in range(self.folds)]
        if self.splits is not None:
            return [(f"-split{split}", None, [f"--data.split_seed={split}"]) for split in range(self.splits)]
        return [("", None, [])]


def label_of(settings: Settings, grid: dict[str, list[str]], model: str) -> str:
    """Returns a readable name, the same in every sweep with this grid: ``LitMLP-lr=1e-3``.

    The class of the model begins it unless the grid has the model.
    """
    items = [] if {"model", "config"} & settings.keys() else [model]
    for key, value in sorted(settings.items(), key=lambda setting: setting[0] not in BARE):
        text = _value_text(key, value)
        if [_value_text(key, other) for other in grid[key]].count(text) > 1:  # values that differ in dropped letters
            text += f"_{_digest(value)}"
        items.append(text if key in BARE else f"{short_name(key, grid)}={text}")
    label = "-".join(items)
    label = label if label[0].isalnum() else f"run-{label}"
    return label if len(label) <= LONGEST else f"{label[: LONGEST - 7]}-{_digest(label)}"


def experiment_folder(configs: Sequence[dict[str, Any]], experiment: str | None) -> Path:
    """Returns the folder of the experiment, named as ``fit`` does: as typed, else after the data.

    Raises:
        ConfigError: For several data sets without a name, or a name that cannot be a folder's.
    """
    names = {experiment or config.get("experiment") or class_of(config, "data").lower() for config in configs}
    if len(names) > 1:
        raise ConfigError(f"the grid has several data sets ({', '.join(sorted(names))}); name it with --experiment")
    name = names.pop()
    if not re.fullmatch(r"\w[\w .+=,@-]*", name):
        raise ConfigError(f"--experiment {name!r} cannot name a folder; use letters, digits and . + = , @ _ -")
    return Path(configs[0]["trainer"].get("default_root_dir") or ".") / "runs" / name


def plan(
    combinations: Sequence[Combination], seeds: Sequence[int], repeats: Repeats, experiment: str
) -> list[tuple[Combination, Run]]:
    """Returns the runs of every combination with every seed on every split or fold, or on the configuration's split."""
    planned = []
    for combination in combinations:
        for suffix, fold, split_words in repeats.each():
            for seed in seeds:
                name = f"{combination.label}{suffix}-seed{seed}"
                own = (f"--seed_everything={seed}", *split_words, f"--experiment={experiment}", f"--run={name}")
                words = ("fit", *combination.words, *own)
                requested = resources(combination.config)
                planned.append((combination, Run(name, combination.label, words, *requested, seed=seed, fold=fold)))
    names = [run.name for _, run in planned]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ConfigError(f"two runs would be named {repeated[0]}; write the values of --grid so that they differ")
    return planned


def resources(config: dict[str, Any]) -> tuple[int, int | None]:
    """Returns the CPUs and GPUs that a run requests from a cluster, by its Trainer's accelerator and devices.

    A process takes ``OMP_NUM_THREADS`` CPUs, or one. None GPUs means one if there is any.
    """
    devices = config["trainer"].get("devices")
    count = len(devices) if isinstance(devices, list) else int(devices) if str(devices).isdecimal() else 1
    threads = os.environ.get("OMP_NUM_THREADS", "")
    cpus = count * (int(threads) if threads.isdecimal() else 1)
    accelerator = config["trainer"].get("accelerator")
    return cpus, 0 if accelerator == "cpu" else count if accelerator in ("gpu", "cuda") else None


def class_of(config: dict[str, Any], key: str) -> str:
    """Returns the name of the class of ``model`` or ``data``."""
    return str(config[key]["class_path"]).rpartition(".")[2]


def _value_text(key: str, value: str) -> str:
    """Returns a value in the letters of a folder's name."""
    if key == "config":
        value = Path(value).stem
    elif re.fullmatch(r"[A-Za-z_][\w.]*\.[A-Z]\w*", value):  # a class path
        value = value.rpartition(".")[2]
    text = re.sub(r"[^\w.+=@-]+", "_", value, flags=re.ASCII).strip("_")
    return (text if len(text) <= 40 else f"{text[:33]}_{_digest(value)}") or "empty"


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:6]
