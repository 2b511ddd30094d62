"""What is asked for, ``--seeds 0..4 --grid model.optimizer.lr=1e-3,3e-3``, as the words of each run."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import yaml

from lit_models.errors import ConfigError

Settings = dict[str, str]
"""One combination: under each key of the grid the value, as it is typed behind ``--key=``."""


@dataclass(frozen=True)
class Run:
    """One run of a sweep.

    Args:
        name: Its folder's.
        label: What it shares with those that differ in the seed or the split only.
        words: Of ``evenhand``, the whole command.
        cpus: That it asks a cluster for.
        gpus: That it asks a cluster for; None for one where the cluster has any.
    """

    name: str
    label: str
    words: tuple[str, ...]
    cpus: int = 1
    gpus: int | None = None


def parse_seeds(words: Sequence[str]) -> list[int]:
    """Seeds of ``0..4``, of ``0,1,2``, of ``0 1 2``, and of these mixed.

    Raises:
        ConfigError: For what is none of these, and for a seed that is named twice.
    """
    seeds: list[int] = []
    for part in (part for word in words for part in word.split(",") if part):
        found = re.fullmatch(r"(\d{1,10})(?:\.\.(\d{1,10}))?", part, re.ASCII)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if not first <= last < min(2**32, first + 10_000):
            raise ConfigError(f"--seeds {part} is no seed and no range of them; type 0..4, or 0,1,2, or 0 1 2")
        seeds += range(first, last + 1)
    if words and not seeds:
        raise ConfigError("--seeds names none; type 0..4, or 0,1,2, or 0 1 2")
    twice = [seed for seed in seeds if seeds.count(seed) > 1]
    if twice:
        raise ConfigError(f"--seeds names {twice[0]} twice; two runs with one seed are one run")
    return seeds


def parse_grid(words: Sequence[str]) -> dict[str, list[str]]:
    """Under each key its values: ``model=LitMLP,LitCNN`` has two, ``model.hidden=[64],[128,128]`` has two as well.

    Values stand behind one another as in a YAML list, so that one with a comma or a colon is put in quotes.

    Raises:
        ConfigError: For a word that is no such list, a key or a value that is named twice, or a seed.
    """
    grid: dict[str, list[str]] = {}
    for word in words:
        key, equals, text = word.partition("=")
        key = key.removeprefix("--").replace(".init_args", "").removesuffix(".class_path")
        if not equals or not re.fullmatch(r"[\w.]+\+?", key):
            raise ConfigError(f"--grid {word} is not KEY=VALUE,VALUE; for example --grid model.optimizer.lr=1e-3,3e-3")
        check_key(f"--grid {key}", key)
        if key in grid:
            raise ConfigError(f"--grid names {key} twice; put its values behind one another: {key}=VALUE,VALUE")
        grid[key] = _values(word, text)
        twice = [value for value in grid[key] if grid[key].count(value) > 1]
        if twice:
            raise ConfigError(f"--grid {key} names {twice[0]} twice; each combination is one run")
    return grid


def check_key(said: str, key: str) -> None:
    """Refuse what has an option of its own.

    Args:
        said: Where the key stands, for the error.
        key: A setting's.

    Raises:
        ConfigError: With the option.
    """
    instead = {"seed_everything": "--seeds 0..4", "data.split_seed": "--resplit K", "run": "nothing, runs are named"}
    if key in instead or key in ("experiment", "trainer.default_root_dir", "ckpt_path", "test_at_end"):
        raise ConfigError(f"{said} cannot differ from run to run of a sweep; use {instead.get(key, 'one value')}")


def refuse_typed(words: Sequence[str], keys: Sequence[str], option: str) -> None:
    """Stop where a setting is typed that each run gets a value of its own for.

    Raises:
        ConfigError: With the first.
    """
    for word in words:
        key = word.partition("=")[0].removeprefix("--").replace(".init_args", "").removesuffix(".class_path")
        if word.startswith("--") and key in keys:
            raise ConfigError(f"--{key} is typed and stands in {option} too; leave one of them out")


def combinations(grid: dict[str, list[str]]) -> list[Settings]:
    """Every combination, the last key's values changing fastest."""
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def settings_words(settings: Settings) -> list[str]:
    """A combination as words of ``fit``."""
    return [f"--{key}={value}" for key, value in settings.items()]


def _values(word: str, text: str) -> list[str]:
    try:
        node = yaml.compose(f"[{text}]", yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"--grid {word} is no list of values; put one with a comma, colon or bracket into quotes"
        ) from error
    written = f"[{text}]"
    items = node.value if isinstance(node, yaml.SequenceNode) and node.end_mark.index == len(written) else []
    values = [
        item.value if isinstance(item, yaml.ScalarNode) else written[item.start_mark.index : item.end_mark.index]
        for item in items
    ]
    if not values:
        raise ConfigError(f"--grid {word} names no value; for example --grid model.optimizer.lr=1e-3,3e-3")
    return values
