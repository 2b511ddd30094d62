"""``--model`` and ``--data`` with a LightningModule or LightningDataModule of another package."""

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import isclass
from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule

from datamodules import DataModule
from experiments.internals.jsonargparse_private import import_object, rewrite_class
from lit_models import LitModel


@dataclass(frozen=True)
class Holder:
    """A class of Evenhand that holds an object of another package's class, and its argument that is that object."""

    path: str
    argument: str
    base: type  # of the object
    own: type  # of Evenhand's classes, which need no holder

    def rewrite(self, value: Any, name: str | None, previous: str | None) -> tuple[Any, str | None]:
        """Rewrites a value of the command line or a file that names a class to be held, and options below it.

        Args:
            value: An import path, a dictionary of ``class_path`` and ``init_args``, or the value of an option.
            name: Dotted name of the option that has the value, below ``--model`` or ``--data``; None for these.
            previous: Import path of the class so far.

        Returns:
            The value and the name; as they are for Evenhand's own classes and for what may not be imported.
        """
        if isinstance(value, str) and name in (None, "class_path"):
            return (self._around({"class_path": value}), None) if self._holds(value) else (value, name)
        if name is not None:
            below = name.removeprefix("init_args.")
            is_own = previous == self.path and below.partition(".")[0] != self.argument
            return value, f"{self.argument}.{below}" if is_own else name
        if isinstance(value, Mapping) and self._holds(value.get("class_path")):
            return self._around(value), None
        options = value.get("init_args") if isinstance(value, Mapping) and "class_path" not in value else None
        if previous == self.path and options and self.argument not in options:
            return {"init_args": {self.argument: {"init_args": options}}}, None
        return value, name

    def _around(self, held: Mapping[str, Any]) -> dict[str, Any]:
        return {"class_path": self.path, "init_args": {self.argument: dict(held)}}

    def _holds(self, path: Any) -> bool:
        """Returns True for the import path of a class to be held, if it may be imported."""
        if not isinstance(path, str) or "." not in path or not all(word.isidentifier() for word in path.split(".")):
            return False
        try:
            found = import_object(path)
        except Exception:  # the parser reports what cannot be imported, with the setting
            return False
        return isclass(found) and issubclass(found, self.base) and not issubclass(found, self.own)


MODULES = Holder("lit_models.LitLightningModule", "network", LightningModule, LitModel)
DATA = Holder("datamodules.LightningData", "datamodule", LightningDataModule, DataModule)


def install_lightning_classes() -> None:
    """Lets ``--model`` and ``--data`` name classes of Lightning that Evenhand's own hold; idempotent."""
    for holder in (MODULES, DATA):
        rewrite_class(holder.own, holder.rewrite)
