"""Contenders of a search: the typed settings, or each architecture of ``--each`` with a space of its own."""

import re
from dataclasses import dataclass
from pathlib import Path

from experiments.cli.typed_settings import typed_settings
from experiments.sweep.grid import parse_grid, refuse_typed, settings_words
from experiments.sweep.plan import label_of
from experiments.sweep.search_space import Space, read_space
from experiments.sweep.sweep_options import SweepOptions
from lit_models.errors import ConfigError

SPACES = Path(__file__).parents[1] / "configs" / "spaces"
"""A space for each architecture; ``other.yaml`` for one of the user's own."""

KEYS = ("model", "config")
"""What ``--each`` may differ in."""


@dataclass(frozen=True)
class Contender:
    """Settings that get trials of their own."""

    name: str  # of --each; empty without it
    words: tuple[str, ...]  # of fit
    space: Space


def contenders_of(options: SweepOptions) -> list[Contender]:
    """Returns the contenders of a search, each with its space.

    A setting that is typed is not searched, unless ``--space`` has it too.

    Raises:
        ConfigError: For words or a space that cannot be used.
    """
    typed_space = None if options.space is None else read_space(options.space)
    if typed_space is not None:
        refuse_typed(options.words, list(typed_space), "--space")
    if options.each is None:
        assert typed_space is not None
        return [Contender("", tuple(options.words), typed_space)]
    ((key, values),) = parse_grid([options.each]).items()
    if key not in KEYS:
        raise ConfigError(f"--each {key} is no architecture; it is model=LitMLP,LitCNN or config=a.yaml,b.yaml")
    if key == "config" and typed_space is None:
        raise ConfigError("--each config=... needs --space FILE, the space that all files share")
    refuse_typed(options.words, [key], "--each")
    typed = typed_settings([*options.words])
    contenders = []
    for value in values:
        space = typed_space if typed_space is not None else read_space(space_file(value))
        space = {name: each for name, each in space.items() if name not in typed}
        if not space:
            raise ConfigError(f"everything that is searched for {value} is typed; leave some of it out")
        words = (*options.words, *settings_words({key: value}))
        contenders.append(Contender(label_of({key: value}, {key: values}, ""), words, space))
    return contenders


def space_file(model: str) -> Path:
    """Returns the file of an architecture's space, by the name of its class."""
    package, _, name = model.rpartition(".")
    if package not in ("", "lit_models"):
        return SPACES / "other.yaml"
    name = name.removeprefix("Lit")
    words = re.sub(r"(?<=[a-z])(?=[A-Z][A-Z])", "_", name).lower()
    file = SPACES / f"{words}.yaml"
    return file if file.exists() else SPACES / "other.yaml"
