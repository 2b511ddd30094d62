"""Seeds and grids of settings, ``--seeds 0..4 --grid model.optimizer.lr=1e-3,3e-3``, as words of each run."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import yaml

from experiments.cli.typed_settings import setting_name, typed_settings
from lit_models.errors import ConfigError

Settings = dict[str, str]
"""One combination: each key's value as it is typed behind ``--key=``."""

SEED_FORMS = "type 0..4, or 0,1,2, or 0 1 2"


@dataclass(frozen=True)
class Run:
    """One run of a sweep, with the CPUs and GPUs that it requests from a cluster."""

    name: str  # of its folder
    label: str  # common to runs that differ in the seed or the split alone
    words: tuple[str, ...]  # of the command, behind evenhand
    cpus: int = 1
    gpus: int | None = None  # None for one if the cluster has any
    seed: int = 0
    fold: int | None = None  # that is its test rows; None without --folds


def parse_seeds(words: Sequence[str]) -> list[int]:
    """Parses seeds: ``0..4``, ``0,1,2``, ``0 1 2``, and mixtures.

    Raises:
        ConfigError: For anything else, and for a seed that is repeated.
    """
    seeds: list[int] = []
    for item in (item for word in words for item in word.split(",") if item):
        match = re.fullmatch(r"(\d{1,10})(?:\.\.(\d{1,10}))?", item, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last < min(2**32, first + 10_000):
            raise ConfigError(f"--seeds {item} is no seed and no range of them; {SEED_FORMS}")
        seeds += range(first, last + 1)
    if words and not seeds:
        raise ConfigError(f"--seeds names none; {SEED_FORMS}")
    if repeated := [seed for seed in seeds if seeds.count(seed) > 1]:
        raise ConfigError(f"--seeds names {repeated[0]} twice; two runs with one seed are one run")
    return seeds


def parse_grid(words: Sequence[str]) -> dict[str, list[str]]:
    """Parses a grid: ``model=LitMLP,LitCNN`` has two values, ``model.hidden=[64],[128,128]`` has two as well.

    Values are those of a YAML list, so that one with a comma or a colon is put in quotes.

    Raises:
        ConfigError: For anything else, a repeated key or value, and a seed.
    """
    grid: dict[str, list[str]] = {}
    for word in words:
        key, text = setting_name(word), word.partition("=")[2]
        if "=" not in word or not re.fullmatch(r"[\w.]+\+?", key):
            raise ConfigError(f"--grid {word} is not KEY=VALUE,VALUE; for example --grid model.optimizer.lr=1e-3,3e-3")
        check_key(f"--grid {key}", key)
        if key in grid:
            raise ConfigError(f"--grid names {key} twice; put its values behind one another: {key}=VALUE,VALUE")
        values = grid[key] = _values(word, text)
        if repeated := [value for value in values if values.count(value) > 1]:
            raise ConfigError(f"--grid {key} names {repeated[0]} twice; each combination is one run")
    return grid


def check_key(source: str, key: str) -> None:
    """Raises a ConfigError, which names the source, for a setting that has an option of its own."""
    instead = {"seed_everything": "--seeds 0..4", "data.split_seed": "--resplit K", "run": "nothing, runs are named"}
    if key in instead or key in ("experiment", "trainer.default_root_dir", "ckpt_path", "test_at_end"):
        raise ConfigError(f"{source} cannot differ from run to run of a sweep; use {instead.get(key, 'one value')}")


def refuse_typed(words: Sequence[str], keys: Sequence[str], option: str) -> None:
    """Raises a ConfigError for a typed setting that differs from run to run."""
    for key in typed_settings([*words]):
        if key in keys:
            raise ConfigError(f"--{key} is typed and is in {option} too; leave one of them out")


def combinations(grid: dict[str, list[str]]) -> list[Settings]:
    """Returns every combination, the last key's values changing fastest."""
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def settings_words(settings: Settings) -> list[str]:
    """Returns a combination as words of ``fit``."""
    return [f"--{key}={value}" for key, value in settings.items()]


def _values(word: str, text: str) -> list[str]:
    written = f"[{text}]"
    try:
        node = yaml.compose(written, yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"--grid {word} is no list of values; put one with a comma, colon or bracket into quotes"
        ) from error
    items = node.value if isinstance(node, yaml.SequenceNode) and node.end_mark.index == len(written) else []
    values = [
        item.value if isinstance(item, yaml.ScalarNode) else written[item.start_mark.index : item.end_mark.index]
        for item in items
    ]
    if not values:
        raise ConfigError(f"--grid {word} names no value; for example --grid model.optimizer.lr=1e-3,3e-3")
    return values
