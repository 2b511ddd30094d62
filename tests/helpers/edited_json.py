"""Edits of every field of a JSON value: other types, missing, negative, huge, further and nested ones."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, NamedTuple

Path = tuple[str | int, ...]


class Edit(NamedTuple):
    """A changed copy of a JSON value."""

    path: Path
    kind: str
    value: Any


def edits(whole: Any) -> Iterator[Edit]:
    """Yields every edit of every field; of a list the first and last entry, since the others are as those."""
    for path, value in fields(whole):
        for kind, replaced in replacements(value):
            yield Edit(path, kind, changed(whole, path, replaced))
        yield Edit(path, "missing", changed(whole, path, None, delete=True))
        if isinstance(value, dict):
            yield Edit(path, "extra", changed(whole, path, {**value, "other": 1}))
        if isinstance(value, list):
            yield Edit(path, "extra", changed(whole, path, [*value, *(value[:1] or [None])]))


def fields(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if path:
        yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from fields(item, (*path, key))
    elif isinstance(value, list):
        for index in sorted({0, len(value) - 1} & set(range(len(value)))):
            yield from fields(value[index], (*path, index))


def replacements(value: Any) -> Iterator[tuple[str, Any]]:
    for other in (None, True, 3, 0.5, "text", [], {}, [[value]], {"a": {"b": value}}):
        if other != value:
            both_numbers = {type(other), type(value)} <= {int, float}
            yield "number" if both_numbers else "nested" if other and isinstance(other, list | dict) else "type", other
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield from [("negative", -1 - value), ("huge", 10**12), ("huge", 10**30), ("huge", 1.7e308)]


def changed(whole: Any, path: Path, value: Any, delete: bool = False) -> Any:
    copy = deepcopy(whole)
    parent = copy
    for key in path[:-1]:
        parent = parent[key]
    if delete:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return copy
