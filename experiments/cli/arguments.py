"""Words of the command line: the verbs' parsers, options that several verbs share, and precedence. Imports no torch."""

import argparse
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import yaml

from experiments import safe_yaml
from experiments.cli.typed_settings import Words as Words
from experiments.cli.typed_settings import look_up, read_config, setting_name
from experiments.earlier_settings import completed, is_whole
from experiments.terminal import escaped

CONFIG_PATH = re.compile(r"(?<![^=,\[\s])experiments/configs/[^\s=,\]]+")
CLASSES = ("model", "data", "model.optimizer", "model.schedule.scheduler", "model.loss", "model.network")
"""Settings that are classes."""
PIPE = re.compile(r"(--config=)?((?:/dev/fd/|/dev/stdin|/proc/self/fd/).*)")
REPOSITORY = Path(__file__).parents[2]


class VerbParser(argparse.ArgumentParser):
    """argparse with one sentence for an error, and without guesses at abbreviated options.

    The first line of the description is the summary in ``evenhand --help``; the usage is generated if left out.
    """

    def __init__(self, verb: str, description: str, epilog: str = "", usage: str | None = None) -> None:
        super().__init__(
            f"evenhand {verb}",
            usage=None if usage is None else f"evenhand {verb} {usage}",
            description=description,
            epilog=epilog,
            formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=30, width=100),
            allow_abbrev=False,
            add_help=False,  # __main__ prints the help of every verb
        )

    @property
    def summary(self) -> str:
        """First line of the description."""
        return str(self.description).partition("\n")[0]

    def error(self, message: str) -> NoReturn:
        """Prints the message and exits with code 2."""
        self.exit(2, escaped(f"error: {message}; see {self.prog} --help\n"))


RUN_OPTIONS: tuple[tuple[str, Any, Any, str, str], ...] = (
    ("experiment", str | None, None, "NAME", "folder of the runs; the data's name if left out"),
    ("run", str | None, None, "NAME", "folder of the run; a stopped run of this name is resumed"),
    ("save_every_n_steps", int | None, None, "N", "write last.ckpt within epochs too"),
    ("test_at_end", bool, True, "BOOL", "test the best checkpoint at the end; true"),
    ("figures", bool, True, "BOOL", "draw the test's figures into TensorBoard; true"),
)
"""Options of ``fit`` that Lightning does not have: name, type, default, and metavar and text of the help."""

_SEVERAL: dict[str, Any] = {"action": "append", "default": []}
SHARED_OPTIONS: dict[str, dict[str, Any]] = {
    "ckpt_path": {"metavar": "PATH", "help": "a run's folder, of which the best checkpoint is taken, or a checkpoint"},
    "ckpt_paths": {
        "nargs": "+",
        "action": "extend",
        "metavar": "PATH",
        "help": "a run's folder, of which the best checkpoint is taken, or a checkpoint; several predict together",
    },
    "device": {
        "choices": ["auto", "cpu", "cuda"],
        "default": "auto",
        "help": "auto takes a CUDA device if there is one",
    },
    "trust": {**_SEVERAL, "metavar": "PACKAGE", "help": "a package of your own whose classes may be named"},
    "allow_change": {**_SEVERAL, "metavar": "KEY", "help": "a setting that may differ from the checkpoint's"},
    "debug": {"action": "store_true", "help": "print the traceback of an error"},
}
"""Options that several verbs have, with argparse's arguments."""


def add_shared(group: Any, *names: str, **changes: Any) -> None:
    """Adds shared options, with changes of their arguments; ``ckpt_paths`` is ``--ckpt_path`` with several values."""
    for name in names:
        option = "ckpt_path" if name == "ckpt_paths" else name
        group.add_argument(f"--{option}", **{**SHARED_OPTIONS[name], **changes})


def has_option(words: Words, *options: str) -> bool:
    """Returns True if one of the options is typed, as ``--option value`` or ``--option=value``."""
    return any(word.partition("=")[0] in options for word in words)


def take(words: Words, option: str) -> tuple[Words, list[str]]:
    """Splits the words into those without ``option VALUE`` and the values."""
    rest, values = Words(), list[str]()
    remaining = iter(words)
    for word in remaining:
        if word == option:
            values.append(next(remaining, ""))
        elif word.startswith(f"{option}="):
            values.append(word.partition("=")[2])
        else:
            rest.append(word)
    return rest, values


def config_below(text: str, words: Words) -> str:
    """Returns an earlier configuration, YAML text, to put below the words.

    Settings that its version did not have are added, and lists that the words begin anew (``--trainer.callbacks+``)
    are left out.
    """
    config = completed(safe_yaml.load(text))
    for word in words:
        *path, key = word.partition("=")[0].removeprefix("--").split(".")
        owner = look_up(config, tuple(path), None)
        if key.endswith("+") and isinstance(owner, dict):
            owner.get("init_args", owner).pop(key[:-1], None)
    return yaml.safe_dump(config)


def whole_configs(words: Words) -> tuple[Words, bool]:
    """Adds to the configurations of runs that are named with ``-c`` what their version did not have.

    Returns the words, and whether there is such a configuration, which leaves nothing to choose.
    """
    found, before = list[str](), ""
    for word in words:
        option, equals, value = word.partition("=")
        path = value if equals and option in ("-c", "--config") else word if before in ("-c", "--config") else ""
        config = read_config(path) if path else None
        if is_whole(config):
            text = yaml.safe_dump(completed(config))
            found.append(f"{option}={text}" if equals and path == value else text)
        else:
            found.append(word)
        before = word
    return found, found != words


def in_precedence(words: Words) -> Words:
    """Orders the words so that the last one about a setting wins.

    Files come first, in their order, then typed settings. Below ``--model`` and ``--data`` a class comes before its
    arguments, wherever it was typed: ``--model.optimizer.lr 1 --model.optimizer SGD`` is SGD at 1. Typed classes are
    ahead of the files too, which may only have arguments for them.
    """
    groups = sorted(_groups(words[1:]), key=_rank)
    names = {setting_name(group[0]) for group in groups}
    typed_classes = {name for name in names & {*CLASSES} if name.partition(".")[0] in names}
    first = [group for group in groups if setting_name(group[0]) in typed_classes] if names & {"-c", "config"} else []
    return words[:1] + [word for group in [*first, *groups] for word in group]


def read_pipes(words: Words) -> Words:
    """Replaces ``-c /dev/fd/63``, which the shell makes of ``-c <(command)``, by its text: it can be read once."""
    read = words[:1]
    for before, word in pairwise(words):
        if (pipe := PIPE.fullmatch(word)) and (pipe[1] or before in ("-c", "--config")):
            word = f"{pipe[1] or ''}{safe_yaml.read_text(pipe[2], is_pipe=True)}\n"
        read.append(word)
    return read


def without(words: Words, *prefixes: str) -> Words:
    """Removes options whose names begin with a prefix, and their values."""
    return words[:1] + [word for group in _groups(words[1:]) if not group[0].startswith(prefixes) for word in group]


def find_packaged_configs(words: Words) -> Words:
    """Replaces ``experiments/configs/...`` by the file in the package if the working directory has none.

    A command of the documentation thus works in a checkout and in an empty folder with the wheel installed.
    """

    def packaged(path: re.Match[str]) -> str:
        inside = REPOSITORY / path[0]
        return path[0] if Path(path[0]).exists() or not inside.exists() else str(inside)

    return [CONFIG_PATH.sub(packaged, word) for word in words]


def _groups(words: Words) -> Iterator[Words]:
    """Yields each option together with the values that follow it."""
    group: Words = []
    for word in words:
        if group and (word.startswith("--") or word == "-c"):
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _rank(group: Words) -> tuple[int, int]:
    name = group[0].partition("=")[0]
    if name in ("-c", "--config"):
        return 0, 0
    if name.startswith(("--model", "--data")):
        # A class can be typed as --model.optimizer, or as --model.optimizer.class_path.
        return 1, setting_name(name).count(".")
    return 2, 0
