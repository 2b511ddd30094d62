"""Settings that a configuration lacks since the version that wrote it did not have them."""

from collections.abc import Mapping
from typing import Any

from jsonargparse import ArgumentParser
from jsonargparse._util import import_object


def is_added(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether a setting is new in its class and has its default, which leaves everything as it was before.

    The class is that of the data, the model, a callback and the like, or the Trainer; a setting that is a class itself
    is never taken for a new one.

    Args:
        name: The setting's, as in ``model.mixup``.
        before: The earlier configuration's settings by name.
        now: Those of the one that goes on from it.
    """
    if name in before or name not in now or name.endswith(".class_path"):
        return False
    owner = name.rpartition(".")[0]
    while owner and f"{owner}.class_path" not in now and owner != "trainer":
        owner = owner.rpartition(".")[0]
    key = f"{owner}.class_path"
    if not owner or before.get(key) != now.get(key):
        return False
    parser = ArgumentParser()
    try:
        parser.add_class_arguments(import_object(now.get(key, "lightning.pytorch.Trainer")), fail_untyped=False)
        default = parser.get_default(name.removeprefix(f"{owner}."))
    except (ImportError, AttributeError, KeyError, ValueError):
        return False  # no class of today, or no setting of it
    return bool((list(default) if isinstance(default, tuple) else default) == now[name])
