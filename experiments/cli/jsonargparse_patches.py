"""What jsonargparse 4.53 leaves to be desired, in three functions and two types.

A class given anew keeps every argument of the old class that it also has (jsonargparse issue 460), so that SGD after
AdamW runs with AdamW's weight decay. A short name that two classes share is refused, although only one of them may be
named at all. And the order of the words decides what wins: ``--model.lr 1 -c file`` runs the file's rate. A device, as
``StochasticWeightAveraging`` has one, stood in configurations as a complaint that it cannot be written, and the default
of ``Timer``'s interval, a member of an enumeration where a string is asked for, could not be written at all.
"""

from typing import Any

import torch
import yaml
from jsonargparse import _loaders_dumpers, _typehints
from jsonargparse._common import denying_import_path_entry
from jsonargparse._paths import Path
from jsonargparse.typing import register_type
from lightning.pytorch.callbacks.timer import Interval

from experiments import safe_yaml


def install() -> None:
    """Teach jsonargparse the first two and the types; idempotent."""
    register_type(torch.device, fail_already_registered=False)
    yaml.SafeDumper.add_representer(Interval, lambda dumper, one: dumper.represent_str(one.value))
    if _typehints.discard_init_args_on_class_path_change is not _start_from_own_defaults:
        _typehints.discard_init_args_on_class_path_change = _start_from_own_defaults
        _typehints.resolve_class_path_by_name = _resolve_first
        loader = _loaders_dumpers.get_yaml_default_loader()  # type: ignore[no-untyped-call]
        _loaders_dumpers.yaml_default_loader = safe_yaml.checked(loader)
        Path.read_text = _read_text  # type: ignore[assignment,method-assign]


def _read_text(path: Path) -> str:
    """The content of a configuration file; jsonargparse itself waits for pipes, and reads by the locale's encoding."""
    return safe_yaml.read_text(path.absolute)


def _start_from_own_defaults(parser_or_action: Any, prev_val: Any, value: Any) -> None:
    """Drop all arguments of a class that another one replaces."""
    if prev_val and "init_args" in prev_val and prev_val["class_path"] != value["class_path"]:
        prev_val["init_args"] = type(prev_val["init_args"])()


def _resolve_first(cls: Any, name: str) -> str:
    """The path of the class that a short name means: one that may be imported, ours before anybody else's."""
    if "." in name:
        return name
    bases = cls if isinstance(cls, tuple) else (cls,)
    paths = [path for base in bases for path in _typehints.get_all_subclass_paths(base)]
    named = [path for path in paths if path.rpartition(".")[2] == name]
    allowed = [path for path in named if denying_import_path_entry(path) is None]
    return min(allowed or named or [name], key=_preference)


def _preference(path: str) -> tuple[int, int]:
    order = ("lit_models.", "datamodules.", "experiments.", "torch.", "lightning.")
    rank = next((index for index, prefix in enumerate(order) if path.startswith(prefix)), len(order))
    return rank, len(path)
