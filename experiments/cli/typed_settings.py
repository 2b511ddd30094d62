"""Settings that the words of a command type, and the files that they name. Imports no torch."""

import os
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import yaml

from experiments import safe_yaml
from lit_models.errors import ConfigError

Words = list[str]
"""A verb and what is typed behind it."""

AUTO = "auto"
"""Stands for the architecture that is chosen for the data, in ``--model auto`` and ``--grid model=auto,LitMLP``."""


def setting_name(word: str) -> str:
    """Returns the setting that a word or a key names, as in ``model.optimizer`` for ``--model.optimizer=SGD``."""
    return word.partition("=")[0].removeprefix("--").replace(".init_args", "").removesuffix(".class_path")


def typed_settings(words: Words) -> list[str]:
    """Returns the names of the settings that are typed."""
    return [setting_name(word) for word in words if word.startswith("--")]


def typed(words: Words, *keys: str) -> Any:
    """Returns the value that the words, or files named with ``-c``, give a setting; None without one."""
    value: Any = None
    for option, option_value in _options(words):
        if option in ("-c", "--config"):
            value = look_up(read_config(option_value), keys, value)
    for option, option_value in _options(words):
        if option in (f"--{'.'.join(keys)}", f"--{'.'.join(keys)}.class_path"):
            value = option_value
    return value


def typed_text(words: Words, *keys: str) -> str | None:
    """Returns the value as ``typed`` does; None for a file's value that is no text, which the parser refuses."""
    value = typed(words, *keys)
    return value if isinstance(value, str) else None


def typed_class(words: Words, owner: str) -> str | None:
    """Returns the class that the words, or files named with ``-c``, give ``model`` or ``data``; None without one."""
    found: str | None = None
    for option, value in _options(words):
        if option in ("-c", "--config"):
            content = look_up(read_config(value), (owner,), None)
            name = content.get("class_path") if isinstance(content, dict) else content
            found = name if isinstance(name, str) else found
    for option, value in _options(words):
        if option in (f"--{owner}", f"--{owner}.class_path"):
            found = value
    return found


def typed_names(words: Words) -> set[str]:
    """Returns the names of all settings that the words, or files named with ``-c``, give a value."""
    names = set(typed_settings(words))
    for option, value in _options(words):
        if option in ("-c", "--config"):
            names |= {setting_name(name) for name in _names(read_config(value))}
    return names


def types_mode(words: Words) -> bool:
    """Returns True if the ``mode`` of a callback is typed, or is in a file named with ``-c``."""
    return bool(re.search(r"\bmode\b", f"{added_callbacks(words)} {typed(words, 'trainer', 'callbacks')}"))


def added_callbacks(words: Words) -> str:
    """Returns the options ``--trainer.callbacks+`` and below it with their values, as one text."""
    return " ".join(f"{name} {value}" for name, value in _options(words) if name.startswith("--trainer.callbacks"))


def _options(words: Words) -> Iterator[tuple[str, str]]:
    """Yields each word as an option with its value, which stands behind ``=`` or is the next word."""
    for word, following in pairwise([*words, ""]):
        name, equals, value = word.partition("=")
        yield name, value if equals else following


def read_config(path: str) -> Any:
    """Returns the values of a configuration file; None if the parser will report what is wrong with it.

    Raises:
        ConfigError: For YAML beyond the limits, another encoding than UTF-8, and anything but a regular file.
    """
    is_text = "\n" in path  # the text of a pipe instead of a path
    if "\0" in path or not (is_text or os.path.exists(path)):
        return None
    try:
        return safe_yaml.load(path if is_text else safe_yaml.read_text(path))
    except safe_yaml.UnsafeYaml as error:
        name = "the configuration from a pipe" if is_text else path
        raise ConfigError(f"{name}: {error}; write it plainly") from error
    except (OSError, yaml.YAMLError):
        return None


def look_up(content: Any, keys: tuple[str, ...], default: Any) -> Any:
    """Returns the value below nested keys; the default if one of them is missing."""
    for key in keys:
        if not isinstance(content, dict) or key not in content:
            return default
        content = content[key]
    return content


def _names(content: Any, owner: str = "") -> Iterator[str]:
    """Yields the dotted names of all keys of nested mappings."""
    for key, value in content.items() if isinstance(content, dict) else ():
        yield f"{owner}{key}"
        yield from _names(value, f"{owner}{key}.")
