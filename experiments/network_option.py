"""``--model.network``: a network by its import path, with any options below it."""

import difflib
import sys
from collections.abc import Callable, Mapping
from inspect import isclass, signature
from typing import Any

from jsonargparse import Namespace
from torch import nn

from experiments.allowed_classes import is_below
from experiments.import_allowlist import ALLOWED
from experiments.internals.jsonargparse_private import ImportDenied, import_object, read_type
from lit_models import ConfigError
from lit_models.any_network.network_factory import NetworkFactory, reason

KEYS = {"class_path", "init_args", "dict_kwargs", "filled"}
"""Keys of a factory in YAML and in a checkpoint."""


def read_factory(value: Any, name: str | None, previous: NetworkFactory | None) -> NetworkFactory:
    """Returns a factory from a value of the command line or a file; nothing is imported.

    Args:
        value: An import path, a dictionary of ``class_path`` and ``init_args``, or the value of an option.
        name: Dotted name of the option below the factory that ``value`` is of; None for the factory itself.
        previous: The factory so far. Its options stay if the path does.

    A value of another kind becomes a path that ``import_network`` refuses.
    """
    path, options = (previous.path, dict(previous.options)) if previous else ("", {})
    is_plain = isinstance(value, Mapping) and value.keys() <= KEYS
    if name == "class_path" or (name is None and not is_plain):
        return NetworkFactory(str(value), options if value == path else {})
    if name is not None:
        first, _, below = name.removeprefix("init_args.").removeprefix("dict_kwargs.").partition(".")
        options[first] = _below(value, below, options.get(first)) if below else _with_factories(value)
        return NetworkFactory(path, options)
    if (new := str(value.get("class_path", path))) != path:
        path, options = new, {}
    for given in (value.get("init_args"), value.get("dict_kwargs")):
        options |= {key: _with_factories(option) for key, option in (given or {}).items()}
    return NetworkFactory(path, options, filled=value.get("filled"))


def _below(value: Any, name: str, previous: Any) -> Any:
    """Returns the object that is an option, by its class or as a dictionary, with an option of its own."""
    if isinstance(previous, str | NetworkFactory) or name == "class_path":
        before = NetworkFactory(previous) if isinstance(previous, str) else previous
        return read_factory(value, name, before if isinstance(before, NetworkFactory) else None)
    first, _, rest = name.partition(".")
    given = dict(previous) if isinstance(previous, Mapping) else {}
    return {**given, first: _below(value, rest, given.get(first)) if rest else value}


def _with_factories(value: Any) -> Any:
    is_factory = isinstance(value, Mapping) and "class_path" in value and value.keys() <= KEYS
    return read_factory(value, None, None) if is_factory else value


def import_network(factory: NetworkFactory, option: str = "--model.network") -> NetworkFactory:
    """Imports the class or function of a factory, and of those among its options, if a configuration may name it.

    Packages that need no ``--trust`` give classes of ``nn.Module`` alone: others read files when they are made.

    Raises:
        ConfigError: For a path that does not exist, or may not be named.
    """
    imported = _with_function(factory, option)
    if isclass(imported.function) and not issubclass(imported.function, nn.Module):
        raise _no_module(factory.path, option)
    return imported


def check_networks(config: Namespace) -> None:
    """Imports the networks that a configuration names, in place; raises ``ConfigError`` as ``import_network`` does."""
    for name, value in list(config.items()):
        if isinstance(value, NetworkFactory):
            config[name] = import_network(value)


def network_sentence(path: str) -> str:
    """Returns how to train what ``--model`` names if it is a network or makes one, and is no LitModel; else nothing."""
    try:
        import_network(NetworkFactory(path))
    except ConfigError:
        return ""
    return f"--model {path} is a network and no LitModel; train it by --model LitModule --model.network {path}"


def install_network_option() -> None:
    """Lets arguments that are a ``NetworkFactory`` be given on the command line; idempotent."""
    read_type(NetworkFactory, read_factory, NetworkFactory.plain)


def _with_function(factory: NetworkFactory, option: str) -> NetworkFactory:
    function = _imported(factory.path, option)
    home = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '')}"
    if is_below(home, ALLOWED) and not (isclass(function) and issubclass(function, nn.Module)):
        raise _no_module(factory.path, option)
    options = {
        name: _with_function(value, f"{option}.{name}")
        for name, given in factory.options.items()
        if isinstance(value := _as_factory(given, function, name), NetworkFactory)
    }
    return NetworkFactory(factory.path, {**factory.options, **options}, function, factory.filled)


def _no_module(path: str, option: str) -> ConfigError:
    return ConfigError(f"{option} {path} is no nn.Module; name a class that is one, or a function that makes one")


def _as_factory(value: Any, function: Callable[..., Any], name: str) -> Any:
    """Returns the factory that an option's import path stands for if its argument takes an object; else the value."""
    if not isinstance(value, str) or "." not in value:
        return value
    try:
        parameter = signature(function, eval_str=True).parameters.get(name)
    except Exception:  # functions in C have no signature, and names in annotations may exist for type checkers alone
        return value
    kind = None if parameter is None else parameter.annotation
    is_object = isclass(kind) and kind.__module__ not in ("builtins", "inspect", "pathlib")
    return NetworkFactory(value) if is_object else value


def _imported(path: str, option: str) -> Callable[..., Any]:
    package, _, name = path.rpartition(".")
    if not package or not all(word.isidentifier() for word in path.split(".")):
        problem = f"{path[:60]!r} is no import path" if path else "is missing, and options below it are given"
        raise ConfigError(
            f"{option} {problem}; name a class or function with its package, as in torchvision.models.resnet18"
        )
    try:
        found: Any = import_object(path)
    except ImportDenied as error:
        why = str(error).partition(", since ")[2].rstrip(".")
        why = f"{why}, so that a configuration may not name it" if why else "it is of no trusted package"
        raise ConfigError(f"{option} {path}: {why}; if you trust {package}, add --trust {package}") from error
    except AttributeError as error:
        near = difflib.get_close_matches(name, dir(sys.modules.get(package)), n=3, cutoff=0.6)
        hint = f"did you mean {', '.join(near)}?" if near else "name another class or function"
        raise ConfigError(f"{option} {path}: {package} has no {name}; {hint}") from error
    except Exception as error:  # a package of others raises errors of every kind when it is imported
        raise ConfigError(f"{option} {path} cannot be imported: {reason(error)}; install the package") from error
    if not callable(found):
        raise ConfigError(f"{option} {path} is a {type(found).__name__}; name a class or function")
    function: Callable[..., Any] = found
    return function
