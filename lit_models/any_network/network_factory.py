"""A network by its import path and options, as a configuration names it, and its construction."""

import inspect
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from lit_models.any_network.fact_arguments import OFFERED, Facts
from lit_models.errors import ConfigError

REFUSED = re.compile(r"unexpected keyword argument '(\w+)'|multiple values for (?:keyword )?argument '(\w+)'")
"""Messages of Python about an argument that a function does not take, or passes on a second time."""

MISSING = re.compile(r"missing \d+ required (?:positional|keyword-only) arguments?: (.+)")


class NetworkFactory:
    """A class or function that makes a network, or an object that one of its arguments takes. It is not changed.

    Args:
        path: Import path, ``package.module.name``.
        options: Arguments by name; one that is an object is a factory itself.
        function: The imported class or function. Whoever decides what may be imported gives it.
        filled: Arguments that an earlier construction filled in from the data; None if there was none.
    """

    def __init__(
        self,
        path: str,
        options: Mapping[str, Any] | None = None,
        function: Callable[..., Any] | None = None,
        filled: Mapping[str, Any] | None = None,
    ) -> None:
        self.path, self.options, self.function, self.filled = path, dict(options or {}), function, filled

    def __repr__(self) -> str:
        return str(self.plain())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NetworkFactory) and self.plain() == other.plain()

    def __hash__(self) -> int:
        return hash(self.path)

    @classmethod
    def of(cls, function: Callable[..., Any], **options: Any) -> "NetworkFactory":
        """Returns the factory of a class or function with arguments; a module-level one loads from a checkpoint."""
        return cls(f"{function.__module__}.{function.__qualname__}", options, function)

    def plain(self) -> dict[str, Any]:
        """Returns ``class_path`` and ``init_args``, and ``filled`` if it is known, for YAML and checkpoints."""
        options = {
            name: value.plain() if isinstance(value, NetworkFactory) else value for name, value in self.options.items()
        }
        filled = {} if self.filled is None else {"filled": dict(self.filled)}
        return {"class_path": self.path, "init_args": options, **filled}


def make(factory: NetworkFactory, facts: Facts, option: str) -> tuple[Any, NetworkFactory, list[str]]:
    """Calls a factory with its options, and with the facts of the data for which it has an argument.

    An argument that the signature names, or a property of a class that can be set, gets its fact. Other keywords are
    offered to ``**kwargs``, the usual names of a fact one after the other until one is not refused. The weights are
    those of a single call with the arguments that are left.

    Args:
        factory: The factory, with its function.
        facts: Values of arguments by their usual names, best first, of each fact.
        option: Option of the command line that names the factory, for messages.

    Returns:
        What the function returned, the factory with ``filled``, and all that was filled in as ``name value``.

    Raises:
        ConfigError: If the function cannot be called, with its reason.
    """
    function = factory.function
    if function is None:
        raise ConfigError(f"{factory.path} is not imported; name it with {option}, or give NetworkFactory.of(function)")
    path, options, notes = factory.path, dict(factory.options), list[str]()
    for name, value in factory.options.items():
        if isinstance(value, NetworkFactory):
            made, complete, below = make(value, facts, f"{option}.{name}")
            options[name] = made
            factory = NetworkFactory(path, {**factory.options, name: complete}, function, factory.filled)
            notes += [f"{name}.{note}" for note in below]
    call = partial(_call, path, option, function, options)
    by_name = {name: value for usual in facts.values() for name, value in usual.items()}
    filled, offers = _filled(function, options, facts) if factory.filled is None else (dict(factory.filled), [])
    refused, state = set[str](), torch.get_rng_state()
    while True:
        offered = {name: value for names in offers for name, value in [*names.items()][:1]}
        try:
            made = call(filled | offered)
            break
        except MissingArgumentError as error:
            if error.name not in by_name or error.name in {*filled, *refused} or factory.filled is not None:
                sentence = f"{path} needs its argument {error.name}; give it with {option}.{error.name}"
                raise ConfigError(sentence) from error
            filled[error.name] = by_name[error.name]
        except RefusedArgumentError as error:
            if factory.filled is not None:
                raise ConfigError(f"{path} has no argument {error.name}, which it had when it was trained") from error
            refused.add(error.name)
            filled.pop(error.name, None)
            offers = [left for names in offers if (left := {n: v for n, v in names.items() if n != error.name})]
        torch.set_rng_state(state)
    filled |= offered
    complete = NetworkFactory(path, factory.options, function, filled)
    return made, complete, [*notes, *(f"{name} {value}" for name, value in filled.items())]


def _filled(
    function: Callable[..., Any], options: Mapping[str, Any], facts: Facts
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Returns the facts that the signature names, and those that ``**kwargs`` are offered, by usual names."""
    named, takes_others = arguments_of(function)
    filled, offers = dict[str, Any](), list[dict[str, Any]]()
    for fact, usual in facts.items():
        taken = next((name for name in usual if name in named), None)
        if options.keys() & usual.keys():  # typed arguments win, by whatever name of the fact
            continue
        if taken is not None:
            filled[taken] = usual[taken]
        elif takes_others and fact in OFFERED:
            offers.append(dict(usual))
    return filled, offers


def arguments_of(function: Callable[..., Any]) -> tuple[set[str], bool]:
    """Returns the names that a class or function takes as keywords, and whether it takes any others too.

    Properties of a class that can be set are among the names: constructors of configurations set them. Those that every
    LightningModule has are not.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of a function in C
        return set(), True
    keywords = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    named = {parameter.name for parameter in parameters if parameter.kind in keywords}
    if inspect.isclass(function):
        members = inspect.getmembers_static(function, lambda member: isinstance(member, property))
        setters = {name: member.fset for name, member in members if member.fset is not None}
        named |= {name for name, setter in setters.items() if not setter.__module__.startswith("lightning.")}
    return named, any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)


class RefusedArgumentError(Exception):
    """Error for an argument, filled in from the data, that a function does not take."""

    def __init__(self, name: str) -> None:
        self.name = name


class MissingArgumentError(RefusedArgumentError):
    """Error for an argument that a function needs; its signature does not name it, or no fact is of this name."""


def _call(path: str, option: str, function: Callable[..., Any], options: dict[str, Any], filled: dict[str, Any]) -> Any:
    """Calls a function; raises ``RefusedArgumentError`` for a filled-in argument, and else ``ConfigError``."""
    try:
        return function(**filled, **options)
    except TypeError as error:
        refused, missing = REFUSED.search(str(error)), MISSING.search(str(error))
        name = (refused[1] or refused[2]) if refused else ""
        if name in filled:
            raise RefusedArgumentError(name) from error
        if name in options:
            takes = ", ".join(sorted(arguments_of(function)[0])[:30]) or "no argument by name"
            raise ConfigError(f"{option}.{name}: {path} has no argument {name}; it takes {takes}") from error
        if missing:
            raise MissingArgumentError(re.findall(r"'(\w+)'", missing[1])[0]) from error
        raise ConfigError(f"{path} cannot be made: {reason(error)}; correct the options below {option}") from error
    except ConfigError:
        raise
    except Exception as error:  # a package of others raises errors of every kind
        raise ConfigError(f"{path} cannot be made: {reason(error)}; correct the options below {option}") from error


def reason(error: BaseException) -> str:
    """Returns an error's message on one line, ahead of it the name of a class that says more than error."""
    text = " ".join(str(error).split()).rstrip(".")[:300]
    return (
        text
        if text and isinstance(error, RuntimeError | ValueError | OSError)
        else f"{type(error).__name__} {text}".strip()
    )
