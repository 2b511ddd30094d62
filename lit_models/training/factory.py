"""Factories of optimizers and schedulers: a class, or a partial of one."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

Factory = TypeVar("Factory", bound=Callable[..., Any])


def class_of(factory: Callable[..., Any], default: type) -> type:
    """Returns the class that a factory makes an object of; ``default`` if it is a function."""
    parts = (factory.func, *factory.args) if isinstance(factory, partial) else (factory,)
    return next((part for part in parts if isinstance(part, type)), default)


def bound_arguments(factory: Callable[..., Any]) -> dict[str, Any]:
    """Returns the keyword arguments that a factory passes by itself."""
    return dict(factory.keywords) if isinstance(factory, partial) else {}


def copyable(factory: Factory) -> Factory:
    """Returns a factory without the parser that jsonargparse 4.53 binds to those it makes.

    A deep copy of a model, as ``WeightAveraging`` makes one, would copy the whole parser.
    """
    if isinstance(factory, partial) and factory.func.__module__.partition(".")[0] == "jsonargparse":
        return partial(class_of(factory, object), **factory.keywords)  # type: ignore[return-value]
    return factory
