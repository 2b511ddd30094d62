"""The command line's words: their precedence, and what they set before anything is parsed."""

import os
from collections.abc import Iterator
from typing import Any

import yaml

from experiments import safe_yaml
from experiments.run.record.run_directory import LAST, RunDirectory, root_of
from lit_models import ConfigError


def take(words: list[str], option: str) -> tuple[list[str], list[str]]:
    """The words without every ``option VALUE``, and the values."""
    left: list[str] = []
    values: list[str] = []
    remaining = iter(words)
    for word in remaining:
        if word == option:
            values.append(next(remaining, ""))
        elif word.startswith(f"{option}="):
            values.append(word.partition("=")[2])
        else:
            left.append(word)
    return left, values


def find_run(words: list[str]) -> RunDirectory | None:
    """The run that ``fit`` was told to go on with by ``--run NAME`` or ``--ckpt_path last``, where it is there.

    Raises:
        ConfigError: Where several fit what was typed, or ``last`` finds none.
    """
    run, last = typed(words, "run"), typed(words, "ckpt_path") == LAST
    if run is None and not last:
        return None
    root = root_of(typed(words, "trainer", "default_root_dir"))
    data = typed(words, "data")
    named = data.get("class_path") if isinstance(data, dict) else data
    experiment = typed(words, "experiment") or (str(named).rpartition(".")[2].lower() if named else None)
    # glob would take * and [ in a name for a pattern
    folders = [root / experiment] if experiment else sorted(root.iterdir()) if root.is_dir() else []
    runs = [path for folder in folders for path in (sorted(folder.iterdir()) if folder.is_dir() else [])]
    runs = [path for path in runs if (path / "record.json").is_file() and run in (None, path.name)]
    if last:
        runs = [path for path in runs if list((path / "checkpoints").glob("*.ckpt"))]
        if not runs:
            raise ConfigError(f"--ckpt_path last: no run with a checkpoint is in {root / (experiment or '')}")
        runs = [max(runs, key=lambda path: (path / "record.json").stat().st_mtime_ns)]
    if len(runs) > 1:
        found = ", ".join(path.parent.name for path in runs)
        raise ConfigError(f"--run {run} is in several experiments ({found}); add --experiment NAME")
    return RunDirectory(root, runs[0].parent.name, runs[0].name) if runs else None


def beneath(text: str, words: list[str]) -> str:
    """A configuration to go under the words: lists that they begin anew (``--trainer.callbacks+``) are left out."""
    config = safe_yaml.load(text)
    for word in words:
        *path, key = word.partition("=")[0].removeprefix("--").split(".")
        owner = _dig(config, tuple(path), None)
        if key.endswith("+") and isinstance(owner, dict):
            owner[key[:-1]] = None
    return yaml.safe_dump(config)


def typed(words: list[str], *keys: str) -> Any:
    """What the words, or the files that they name with ``-c``, set for a key; None where nobody did."""
    value: Any = None
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, equals, inline = word.partition("=")
        if name in ("-c", "--config"):
            value = _dig(_content(inline if equals else following), keys, value)
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, equals, inline = word.partition("=")
        if name in (f"--{'.'.join(keys)}", f"--{'.'.join(keys)}.class_path"):
            value = inline if equals else following
    return value


def _content(path: str) -> Any:
    """The values of a configuration file; None for one whose fault the parser explains.

    Raises:
        ConfigError: For YAML beyond the limits, another encoding than UTF-8, and anything but a regular file.
    """
    if "\n" in path or "\0" in path or not os.path.exists(path):
        return None  # the text of a configuration in place of its path
    try:
        return safe_yaml.load(safe_yaml.read_text(path))
    except OSError:
        return None
    except safe_yaml.UnsafeYaml as error:
        raise ConfigError(f"{path}: {error}; write it plainly") from error
    except yaml.YAMLError:
        return None


def _dig(content: Any, keys: tuple[str, ...], otherwise: Any) -> Any:
    for key in keys:
        if not isinstance(content, dict) or key not in content:
            return otherwise
        content = content[key]
    return content


Words = list[str]


def in_precedence(words: Words) -> Words:
    """The same words, so ordered that the last one to speak of a setting is the one that should win.

    Files come first, in their order; then the command line's own settings. Of those under ``--model`` and
    ``--data`` a class comes before its arguments, wherever it was typed: ``--model.optimizer.lr 1 --model.optimizer
    SGD`` is SGD at 1.
    """
    verb, settings = words[:1], list(_settings(words[1:]))
    return verb + [word for setting in sorted(settings, key=_rank) for word in setting]


def without(words: Words, *beginnings: str) -> Words:
    """The words without the options, and their values, whose names begin so."""
    kept = [setting for setting in _settings(words[1:]) if not setting[0].startswith(beginnings)]
    return words[:1] + [word for setting in kept for word in setting]


def _settings(words: Words) -> Iterator[Words]:
    """Each option together with the values that follow it."""
    setting: Words = []
    for word in words:
        if setting and (word.startswith("--") or word == "-c"):
            yield setting
            setting = []
        setting.append(word)
    if setting:
        yield setting


def _rank(setting: Words) -> tuple[int, int]:
    name = setting[0].partition("=")[0]
    if name in ("-c", "--config"):
        return 0, 0
    if name.startswith(("--model", "--data")):
        # A class can be typed as --model.optimizer, or as --model.optimizer.class_path.
        return 1, name.replace(".init_args", "").removesuffix(".class_path").count(".")
    return 2, 0
