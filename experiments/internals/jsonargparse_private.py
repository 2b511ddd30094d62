"""Private parts of jsonargparse, read in 4.52.0 and 4.53.0, and patches of its behaviour.

Patched, since no setting does it:

- A class that replaces another keeps every argument that both have (jsonargparse issue 460): SGD after AdamW would run
  with AdamW's weight decay.
- A short name that two classes share is refused, although only one of them may be imported.
- A configuration file is read by the locale's encoding, and a pipe is waited for; YAML has no bounds.
- An allowed package is an allowed class: functions and any class of it may be named.
- A function of any package, and options of ``**kwargs``, are refused where a network is made by one.
- The parser above the subcommands adds the defaults of classes once more: a tenth of a short fit.
- ``torch.device`` and the enumeration ``Interval`` of Lightning's ``Timer`` cannot be written to YAML.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
import yaml
from jsonargparse import ArgumentParser, Namespace, _loaders_dumpers, _typehints, _util
from jsonargparse._common import ImportDenied as ImportDenied
from jsonargparse._common import denying_import_path_entry
from jsonargparse._paths import Path
from jsonargparse._typehints import get_all_subclass_paths
from jsonargparse._util import NestedArg
from jsonargparse._util import import_object as import_object
from jsonargparse.typing import register_type
from lightning.pytorch.callbacks.timer import Interval

from experiments import safe_yaml

PATCHED = ("discard_init_args_on_class_path_change", "resolve_class_path_by_name", "adapt_typehints")
"""Names of ``jsonargparse._typehints`` that ``install_patches`` replaces."""

MOVED = re.compile(r"(?<![\w.])datamodules\.(table|images|series|text|streamed_table|streamed_arrays)\.(?=[A-Z])")
"""Modules of version 0.1.0 that runs and configurations name; their classes are now those of ``datamodules``."""

PREFERENCE = ("lit_models.", "datamodules.", "experiments.", "torch.", "lightning.")
"""Packages in the order in which a short name is looked up."""


_add_defaults_as_usual: Callable[..., Any] = _typehints.ActionTypeHint.add_sub_defaults
_adapt_as_usual: Callable[..., Any] = _typehints.adapt_typehints

_readers: dict[type, Callable[[Any, str | None, Any], Any]] = {}
"""Functions that read the values of a type, which ``read_type`` has added."""

_rewriters: dict[type, Callable[[Any, str | None, str | None], tuple[Any, str | None]]] = {}
"""Functions that rewrite the values of arguments that take a subclass, which ``rewrite_class`` has added."""


def install_patches() -> None:
    """Replaces functions of jsonargparse and registers two types; idempotent."""
    register_type(torch.device, fail_already_registered=False)
    yaml.SafeDumper.add_representer(Interval, lambda dumper, interval: dumper.represent_str(interval.value))
    for name, function in zip(PATCHED, (_discard_init_args, _resolve_short_name, _adapt_typehints), strict=True):
        setattr(_typehints, name, function)
    _typehints.ActionTypeHint.add_sub_defaults = staticmethod(_add_sub_defaults)  # type: ignore[method-assign]
    if Path.read_text is not _read_text:
        loader = _loaders_dumpers.get_yaml_default_loader()  # type: ignore[no-untyped-call]
        _loaders_dumpers.yaml_default_loader = safe_yaml.checked(loader)
        Path.read_text = _read_text  # type: ignore[assignment,method-assign]


def read_type(kind: type, read: Callable[[Any, str | None, Any], Any], plain: Callable[[Any], Any]) -> None:
    """Gives an argument of a type of one's own options below it, which jsonargparse has for classes alone; idempotent.

    Args:
        kind: The type.
        read: Returns an instance from a value, the dotted name of the option below the argument that has the value, or
            None, and the previous instance, or None.
        plain: Returns an instance as values of YAML.
    """
    register_type(kind, plain, fail_already_registered=False)
    _readers[kind] = read


def rewrite_class(base: type, rewrite: Callable[[Any, str | None, str | None], tuple[Any, str | None]]) -> None:
    """Has values of arguments that take a subclass of ``base`` rewritten before they are read; idempotent.

    Args:
        base: The base class.
        rewrite: Returns another value and name from a value, the dotted name of the option below the argument that has
            it, or None, and the import path of the class so far, or None.
    """
    _rewriters[base] = rewrite


def check_imports(check: Callable[[Any, set[str]], str | None]) -> None:
    """Has every object that a configuration names checked right after its import; idempotent.

    The check gets the object and the paths where it is defined, and returns why it is refused, or None.
    """
    paths_of = getattr(_util.canonical_import_paths, "unchecked", _util.canonical_import_paths)

    def canonical_import_paths(value: Any) -> set[str]:
        paths: set[str] = paths_of(value)
        if (reason := check(value, paths)) is not None:
            raise ImportDenied(reason)
        return paths

    canonical_import_paths.unchecked = paths_of  # type: ignore[attr-defined]
    _util.canonical_import_paths = canonical_import_paths  # type: ignore[assignment]


def public_paths(text: str) -> str:
    """Replaces class paths of modules that have moved by the public ones."""
    return MOVED.sub("datamodules.", text)


def subclass_paths(base: type) -> list[str]:
    """Returns the import paths of all imported subclasses of a class."""
    return list(get_all_subclass_paths(base))


def option_names(parser: ArgumentParser, verb: str = "") -> list[str]:
    """Returns the names of a parser's options, or those of one of its subcommands."""
    verbs = parser._subcommands_action.choices if parser._subcommands_action else {}
    return [action.dest for action in verbs.get(verb, parser)._actions]


def _adapt_typehints(value: Any, typehint: Any, *args: Any, **options: Any) -> Any:
    read = _readers.get(typehint) if isinstance(typehint, type) else None
    if read is not None and not isinstance(value, typehint):
        previous = options.get("prev_val")
        name, value = value if isinstance(value, NestedArg) else (None, value)
        value = value.as_dict() if isinstance(value, Namespace) else value
        if name is not None:
            value = _typed_value(value)
        return read(value, name, previous if isinstance(previous, typehint) else None)
    rewrite = _rewriters.get(typehint) if isinstance(typehint, type) else None
    if rewrite is not None and not isinstance(value, typehint):
        value = _rewritten(rewrite, value, options.get("prev_val"))
    return _adapt_as_usual(value, typehint, *args, **options)


def _rewritten(rewrite: Callable[..., tuple[Any, str | None]], value: Any, previous: Any) -> Any:
    path = previous.get("class_path") if isinstance(previous, Namespace | dict) else previous
    name, given = value if isinstance(value, NestedArg) else (None, value)
    plain = given.as_dict() if isinstance(given, Namespace) else given
    new, new_name = rewrite(plain, name, path if isinstance(path, str) else None)
    if new is plain and new_name == name:
        return value
    return new if new_name is None else NestedArg(new_name, new)


def _typed_value(value: Any) -> Any:
    """Returns the value of an option in YAML; jsonargparse hands it on as text, in which null and its like are None."""
    if isinstance(value, str):
        with suppress(yaml.YAMLError):
            value = None if value == "None" else _loaders_dumpers.load_value(value, simple_types=True)
    if isinstance(value, dict):
        return {key: None if inner == "None" else inner for key, inner in value.items()}
    return [None if inner == "None" else inner for inner in value] if isinstance(value, list) else value


def _add_sub_defaults(parser: ArgumentParser, config: Namespace) -> None:
    action = parser._subcommands_action
    if action is None or not config.get(action.dest):  # else that of the subcommand has done it
        _add_defaults_as_usual(parser, config)


def _read_text(path: Path) -> str:
    return safe_yaml.read_text(path.absolute)


def _discard_init_args(parser_or_action: Any, prev_val: Any, value: Any) -> None:
    if prev_val and "init_args" in prev_val and prev_val["class_path"] != value["class_path"]:
        prev_val["init_args"] = type(prev_val["init_args"])()


def _resolve_short_name(cls: Any, name: str) -> str:
    if "." in name:
        return public_paths(name)
    bases = cls if isinstance(cls, tuple) else (cls,)
    paths = [path for base in bases for path in get_all_subclass_paths(base) if path.rpartition(".")[2] == name]
    allowed = [path for path in paths if denying_import_path_entry(path) is None]
    return min(allowed or paths or [name], key=_preference)


def _preference(path: str) -> tuple[int, int]:
    rank = next((index for index, prefix in enumerate(PREFERENCE) if path.startswith(prefix)), len(PREFERENCE))
    return rank, len(path)
