"""Reads YAML of anybody's: limits of nesting, aliases and size hold before a tree is made.

PyYAML itself makes a loop of ``a: &x [*x]``, and ten levels of ten aliases in a few bytes; whatever walks such a tree
never ends. Its C parser ends the process at some ten thousand brackets.
"""

from pathlib import Path
from typing import Any

import yaml

from datamodules.errors import DataError
from datamodules.regular_file import check_regular
from lit_models.errors import ConfigError

DEPTH = 64
ALIASES = 1_000
NODES = 200_000
"""Of the whole tree, with every alias written out."""
MOST_BYTES = 8 << 20

_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class UnsafeYaml(yaml.YAMLError):
    """A text beyond the limits, or with a value that cannot be read."""


def check_text(text: str) -> None:
    """Refuse a text beyond the limits, without making anything of it.

    Raises:
        yaml.YAMLError: For that, and for a text that is no YAML.
    """
    if len(text) > MOST_BYTES:
        raise UnsafeYaml(f"it has more than {MOST_BYTES >> 20} MiB")
    sizes: dict[str, int] = {}
    open_nodes: list[list[Any]] = [["", 0]]
    aliases = 0
    for event in yaml.parse(text, Loader=_Parser):
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_nodes.pop()
            _count(open_nodes, sizes, anchor, size)
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(open_nodes) > DEPTH:
                raise UnsafeYaml(f"it is nested more than {DEPTH} levels deep")
            open_nodes.append([event.anchor, 1])
        elif isinstance(event, yaml.ScalarEvent):
            _count(open_nodes, sizes, event.anchor, 1)
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
            if aliases > ALIASES:
                raise UnsafeYaml(f"it has more than {ALIASES:,} aliases")
            if any(anchor == event.anchor for anchor, _ in open_nodes):
                raise UnsafeYaml(f"its alias *{event.anchor} stands inside of what it stands for")
            _count(open_nodes, sizes, None, sizes.get(str(event.anchor), 0))


def _count(open_nodes: list[list[Any]], sizes: dict[str, int], anchor: str | None, size: int) -> None:
    """Add a node that has ended to the one around it."""
    if anchor:
        sizes[anchor] = size
    open_nodes[-1][1] += size
    if open_nodes[-1][1] > NODES:
        raise UnsafeYaml(f"it has more than {NODES:,} values, aliases written out")


def checked(loader: Any) -> Any:
    """A loader class that checks the text first, and whose errors are all YAML's."""

    class Checked(loader):  # type: ignore[misc]  # the base is a variable
        def __init__(self, stream: Any) -> None:
            text = (
                stream.decode() if isinstance(stream, bytes) else stream if isinstance(stream, str) else stream.read()
            )
            check_text(text)
            super().__init__(text)

        def get_single_data(self) -> Any:
            try:
                return super().get_single_data()
            except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
                reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
                raise UnsafeYaml(f"it has a value that cannot be read: {reason}") from error

    return Checked


_Loader = checked(_Parser)


def load(text: str) -> Any:
    """The plain values that a text stands for.

    Raises:
        yaml.YAMLError: For a text that is no YAML or beyond the limits.
    """
    return yaml.load(text, Loader=_Loader)


def read_text(path: str | Path) -> str:
    """The text of a configuration file, UTF-8 whatever the locale.

    Raises:
        OSError: For a file that cannot be opened.
        ConfigError: For anything but a regular file, a file of another encoding, or a large one.
    """
    try:
        check_regular(path)
    except DataError as error:
        raise ConfigError(str(error)) from error
    with open(path, "rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ConfigError(f"{path} has more than {MOST_BYTES >> 20} MiB, which no configuration has")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not UTF-8 text: {error.reason} at byte {error.start}; save it as UTF-8"
        ) from error
