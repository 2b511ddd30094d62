"""Differences between the configuration of a checkpoint and that of the run that resumes or evaluates it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser
from lightning.pytorch import Trainer

from experiments import safe_yaml
from experiments.console import Console
from experiments.earlier_settings import completed
from experiments.internals.jsonargparse_private import import_object, public_paths
from experiments.text_table import TextTable
from lit_models import ConfigError


def is_added(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Returns True if a setting such as ``model.mixup`` is new in its class and has its default: nothing changes.

    The class is that of the data, the model, a callback and the like, or the Trainer. A setting that is a class itself
    counts as changed. ``before`` and ``now`` are the settings of two configurations by name.
    """
    owner = name.rpartition(".")[0]
    while owner and f"{owner}.class_path" not in now and owner != "trainer":
        owner = owner.rpartition(".")[0]
    key, is_new = f"{owner}.class_path", name not in before and name in now
    if not is_new or not owner or name.endswith(".class_path") or before.get(key) != now.get(key):
        return False
    parser = ArgumentParser()
    try:
        cls = import_object(now[key]) if key in now else Trainer
        parser.add_class_arguments(cls, fail_untyped=False)
        default = parser.get_default(name.removeprefix(f"{owner}."))
    except (ImportError, AttributeError, KeyError, ValueError):
        return False  # the class or its setting does not exist any more
    return bool((list(default) if isinstance(default, tuple) else default) == now[name])


OF_ONE_RUN = ("experiment", "run", "ckpt_path", "weights_only", "config", "figures", "trainer.default_root_dir")
"""Settings about the folder of a run, which change nothing in it."""

FREE = (
    *("model.optimizer", "model.schedule", "model.loss", "model.metrics", "model.dropout"),
    *("model.scale_lr", "model.compile", "model.checkpoint_activations"),
    *("model.steps_per_execution", "data.device", "data.id"),  # rows that an id changes have another fingerprint
)
"""Settings of data and model that change neither shapes nor rows, and may differ."""

Difference = tuple[Any, Any]


@dataclass(frozen=True)
class Changes:
    """Differing settings, the value before and now by name, and the names that ``--allow_change`` allows."""

    values: dict[str, Difference] = field(default_factory=dict)
    allowed: tuple[str, ...] = ()

    @classmethod
    def between(cls, before: str, now: str, allowed: Iterable[str] = ()) -> "Changes":
        """Compares two configurations, YAML texts; settings that ``is_added`` recognizes are no differences."""
        old, new = flat(completed(safe_yaml.load(public_paths(before)))), flat(safe_yaml.load(now))
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        kept = [name for name in names if not _under(name, OF_ONE_RUN) and not is_added(name, old, new)]
        short = tuple(name.replace(".init_args", "") for name in allowed)
        return cls({name: (old.get(name), new.get(name)) for name in kept}, short)

    def refuse_unsafe(self, evaluating: bool = False) -> None:
        """Raises ConfigError with the first change of shapes, data or split without permission.

        The batch size may differ where nothing is trained.
        """
        free = (*FREE, *(("data.batch_size",) if evaluating else ()))
        for name, (before, now) in self.values.items():
            unsafe = _under(name, ("data", "model")) and not _under(name, free)
            if unsafe and not self.allows(name):
                key = name.removesuffix(".class_path")
                raise ConfigError(
                    f"--{key} is {_short(now)}, and the checkpoint was trained with {_short(before)}; "
                    f"leave it out, or add --allow_change {key}"
                )

    def allows(self, name: str) -> bool:
        """Returns True if ``--allow_change`` names a setting, or one above it."""
        return _under(name, self.allowed)

    def only(self, *names: str) -> "Changes":
        """Returns the differences below one of the names."""
        return Changes({name: self.values[name] for name in self.under(*names)}, self.allowed)

    def under(self, *names: str) -> list[str]:
        """Returns the differing settings below one of the names."""
        return [name for name in self.values if _under(name, names)]

    def show(self) -> None:
        """Prints the differences as a table, if there are any."""
        if not self.values:
            return
        rows = [(name, str(before), str(now)) for name, (before, now) in self.values.items()]
        table = TextTable(("setting", "then", "now"), rows, frozenset(range(3)))
        Console(stderr=True, highlight=False).print("changed since the checkpoint", table)


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """Flattens a configuration to settings by their names on the command line, as in ``model.optimizer.lr``."""
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        value = {str(index): item for index, item in enumerate(value)}
    if not isinstance(value, dict):
        return {name: value}
    settings: dict[str, Any] = {}
    for key, inner in value.items():
        below = name if key == "init_args" else f"{name}.{key}".lstrip(".")
        settings |= flat(inner, below)
    return settings


def _under(name: str, owners: Iterable[str]) -> bool:
    return any(name == owner or name.startswith(f"{owner}.") for owner in owners)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


@dataclass(frozen=True)
class Start:
    """The start of a run, ``again`` if its folder exists: its checkpoint, if any, and settings that differ from its."""

    checkpoint: Path | None = None
    changes: Changes = field(default_factory=Changes)
    again: bool = False
