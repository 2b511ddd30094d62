"""Reads untrusted YAML: nesting, aliases and size are limited before objects are constructed.

PyYAML constructs a cycle from ``a: &x [*x]``, and ten levels of ten aliases from a few bytes; code that walks such an
object never ends. Its C parser crashes the process at about ten thousand brackets.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from datamodules.errors import DataError
from datamodules.regular_file import check_regular
from lit_models.errors import ConfigError

DEPTH = 64
ALIASES = 1_000
NODES = 200_000
"""Limit of all values, with the aliases written out."""
MOST_BYTES = 8 << 20
DIGITS = 1_000
"""Limit of a number's length: PyYAML takes quadratic time for ``1:1:1...``, an integer to the base 60."""
NUMBER = re.compile(r"[-+0-9_:.]+")

_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class UnsafeYaml(yaml.YAMLError):
    """Error for a text that exceeds a limit, or has a value that cannot be read."""


def check_text(text: str) -> None:
    """Checks a text against the limits without constructing objects.

    Raises:
        yaml.YAMLError: If the text exceeds a limit, or is no YAML.
    """
    if len(text) > MOST_BYTES:
        raise UnsafeYaml(f"it has more than {MOST_BYTES >> 20} MiB")
    sizes, aliases = dict[str, int](), 0
    open_nodes: list[list[Any]] = [["", 0]]
    for event in yaml.parse(text, Loader=_Parser):
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_nodes.pop()
            _count(open_nodes, sizes, anchor, size)
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(open_nodes) > DEPTH:
                raise UnsafeYaml(f"it is nested more than {DEPTH} levels deep")
            open_nodes.append([event.anchor, 1])
        elif isinstance(event, yaml.ScalarEvent):
            if len(event.value) > DIGITS and NUMBER.fullmatch(event.value):
                raise UnsafeYaml(f"it has a number of more than {DIGITS:,} digits")
            _count(open_nodes, sizes, event.anchor, 1)
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
            if aliases > ALIASES:
                raise UnsafeYaml(f"it has more than {ALIASES:,} aliases")
            if any(anchor == event.anchor for anchor, _ in open_nodes):
                raise UnsafeYaml(f"its alias *{event.anchor} is inside of its own anchor")
            _count(open_nodes, sizes, None, sizes.get(str(event.anchor), 0))


def _count(open_nodes: list[list[Any]], sizes: dict[str, int], anchor: str | None, size: int) -> None:
    """Adds a completed node to the node around it."""
    if anchor:
        sizes[anchor] = size
    open_nodes[-1][1] += size
    if open_nodes[-1][1] > NODES:
        raise UnsafeYaml(f"it has more than {NODES:,} values with the aliases written out")


def checked(loader: Any) -> Any:
    """Returns a loader class that checks the text first, and raises no other errors than YAML's."""

    class Checked(loader):  # type: ignore[misc]  # the base is a variable
        def __init__(self, stream: Any) -> None:
            text = stream if isinstance(stream, str | bytes) else stream.read()
            text = text.decode() if isinstance(text, bytes) else text
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
    """Returns the plain values of a text.

    Raises:
        yaml.YAMLError: If the text exceeds a limit, or is no YAML.
    """
    return yaml.load(text, Loader=_Loader)


def read_text(path: str | Path, is_pipe: bool = False) -> str:
    """Returns the text of a configuration file or a pipe, which is UTF-8 in every locale.

    Raises:
        OSError: If the file cannot be opened.
        ConfigError: If it is no regular file, too large, or not UTF-8.
    """
    try:
        if not is_pipe:
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
        message = f"{path} is not UTF-8 text: {error.reason} at byte {error.start}; save it as UTF-8"
        raise ConfigError(message) from error
