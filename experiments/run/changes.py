"""What differs between the configuration that a checkpoint was trained with and the one that goes on from it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from experiments.run.added import is_added
from lit_models import ConfigError

OF_ONE_RUN = ("experiment", "run", "ckpt_path", "weights_only", "config", "figures", "trainer.default_root_dir")
"""Settings that say where a run is kept, not what it is."""

FREE = (
    *("model.optimizer", "model.schedule", "model.loss", "model.metrics", "model.dropout"),
    *("model.scale_lr", "model.compile", "model.checkpoint_activations"),
    *("model.steps_per_execution", "data.device"),
)
"""Settings of data and model that change neither shapes nor rows."""

Difference = tuple[Any, Any]


@dataclass(frozen=True)
class Changes:
    """Differing settings, by their names on the command line, with the value before and the one now.

    Args:
        values: Under each name the two values.
        allowed: Names, or beginnings of names, that ``--allow_change`` was given.
    """

    values: dict[str, Difference] = field(default_factory=dict)
    allowed: tuple[str, ...] = ()

    @classmethod
    def between(cls, before: str, now: str, allowed: Iterable[str] = ()) -> "Changes":
        """Those from one configuration, YAML text, to another; see ``is_added`` for what is none."""
        old, new = flat(yaml.safe_load(before)), flat(yaml.safe_load(now))
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        kept = [name for name in names if not _under(name, OF_ONE_RUN) and not is_added(name, old, new)]
        short = tuple(name.replace(".init_args", "") for name in allowed)
        return cls({name: (old.get(name), new.get(name)) for name in kept}, short)

    def refuse_unsafe(self, evaluating: bool = False) -> None:
        """Stop where shapes, data or the split would change and nobody said that they may.

        Args:
            evaluating: Whether nothing is trained, so that the batch size is free.

        Raises:
            ConfigError: With the first such setting.
        """
        free = (*FREE, *(("data.batch_size",) if evaluating else ()))
        for name, (before, now) in self.values.items():
            unsafe = _under(name, ("data", "model")) and not _under(name, free)
            if unsafe and not self.allows(name):
                key = name.removesuffix(".class_path")
                raise ConfigError(
                    f"--{key} is {_short(now)}, and the checkpoint was trained with {_short(before)}; "
                    f"leave it out, or say --allow_change {key}"
                )

    def allows(self, name: str) -> bool:
        """Whether ``--allow_change`` names it, or what it belongs to."""
        return _under(name, self.allowed)

    def only(self, *names: str) -> "Changes":
        """Those that belong to one of these."""
        return Changes({name: self.values[name] for name in self.under(*names)}, self.allowed)

    def under(self, *names: str) -> list[str]:
        """The differing settings that belong to one of these."""
        return [name for name in self.values if _under(name, names)]

    def show(self) -> None:
        """Print them as a table; nothing where there are none."""
        if not self.values:
            return
        table = Table(title="changed since the checkpoint", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title_justify="left")
        for heading in ("setting", "then", "now"):
            table.add_column(heading, overflow="fold")
        for name, (before, now) in self.values.items():
            table.add_row(name, _short(before), _short(now))
        Console(stderr=True, highlight=False).print(table)

    def plain(self) -> dict[str, list[Any]]:
        """For the record."""
        return {name: list(values) for name, values in self.values.items()}


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """A configuration's settings by their names on the command line, as in ``model.optimizer.lr``."""
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        value = {str(index): item for index, item in enumerate(value)}
    if not isinstance(value, dict):
        return {name: value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        below = name if key == "init_args" else f"{name}.{key}".lstrip(".")
        found |= flat(inner, below)
    return found


def _under(name: str, owners: Iterable[str]) -> bool:
    return any(name == owner or name.startswith(f"{owner}.") for owner in owners)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
