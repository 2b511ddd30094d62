"""What the runs of a sweep are called."""

import re
from hashlib import sha256
from pathlib import Path

from experiments.sweep.grid import Settings

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
