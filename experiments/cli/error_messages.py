"""A parsing error in at most five lines: the key, the value, the nearest valid names.

jsonargparse nests what each alternative of a type had to say, up to fifty lines deep; the innermost helps.
"""

import difflib
import re
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

from jsonargparse import ArgumentParser
from jsonargparse._typehints import get_all_subclass_paths
from jsonargparse._util import import_object
from lightning.pytorch import Callback
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.loggers import Logger
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from datamodules import DataModule
from experiments.terminal import say
from lit_models import LitModel

FACTS = ("task", "modality", "input_shape", "num_outputs", "cardinalities", "vocab_size")
"""What a data module knows once it is made, and a model is told."""

CHOICES: dict[str, tuple[type, ...]] = {
    "model": (LitModel,),
    "data": (DataModule,),
    "optimizer": (Optimizer,),
    "scheduler": (LRScheduler,),
    "loss": (nn.Module,),
    "callbacks": (Callback,),
    "logger": (Logger,),
}
"""Under the last part of a key, the classes that it takes."""


class Parser(LightningArgumentParser):
    """Lightning's parser with short errors, and without argparse's guesses at abbreviated options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print the explanation and exit with 2."""
        if not self.exit_on_error:  # a parser of a class inside; the outer one will explain
            super().error(message, ex)
        verbs = self._subcommands_action.choices if self._subcommands_action else {}
        parser = getattr(ex, "subcommand_parser", None) or verbs.get(next(iter(sys.argv[1:]), ""), self)
        known = [action.dest for action in parser._actions]
        say("\n".join(line[:300] for line in explain(message, known)[:5]), sys.stderr)
        self.exit(2)


def explain(message: str, known: list[str]) -> list[str]:
    """What is wrong with one setting, in one line, and in another what was perhaps meant.

    Args:
        message: jsonargparse's.
        known: The keys that its parser takes.
    """
    key = ".".join(re.findall(r'Parser key "([^"]+)"', message))
    found = re.search(r"does not accept option '([^']+)'|unrecognized arguments: --([^\s=]+)", message, re.IGNORECASE)
    if found:
        name = found[1] or found[2]
        return [f"error: there is no setting {name}", *_nearest(name, known)]
    found = re.search(r"Option '([^']+)' is not accepted", message)
    if found:
        owner = _owner(message, found.start(), found.end())
        names = [f"{key}.{name}" for name in _settings_of(owner)]
        here = f"{key}.{found[1]}"
        value = _value(message)
        return [
            f"error: --{here}{' ' + value if value else ''}: {owner.rpartition('.')[2]} has no setting {found[1]!r}",
            *_nearest(here, names),
        ]
    # of callbacks jsonargparse tries the base class as well, by a path that nobody may name
    found = re.search(
        r"Importing '(?!lightning\.Callback')([^']+)' is not allowed(?:, since ([^\n]+?)\.+(?:\s|$))?", message
    )
    if found and found[2]:
        return [
            f"error: --{key} {found[1]}: {found[2]}, so that a configuration may not name it",
            f"to allow it all the same: --trust {found[1]}",
        ]
    if found:
        return [
            f"error: --{key} {found[1]}: only classes of torch, Lightning, torchmetrics and Evenhand may be named",
            "to allow a package of your own: --trust PACKAGE",
        ]
    names = [name for found in re.findall(r"Literal\[([^\]]+)\]", message) for name in found.split(", ")]
    if names:
        return [f"error: --{key} {_value(message)}: not one of {', '.join(dict.fromkeys(names))}"]
    types = [name for name in re.findall(r"Expected an? <class '(\w+)'>", message) if name != "NoneType"]
    if types:
        return [f"error: --{key} {_value(message)}: expected {' or '.join(dict.fromkeys(types))}"]
    found = re.search(r"Expected a dot import path string: (\S+)", message)
    if found:
        bases = CHOICES.get(key.rpartition(".")[2], ())
        names = [path.rpartition(".")[2] for base in bases for path in get_all_subclass_paths(base)]
        return [f"error: --{key} {found[1]}: there is no class {found[1]!r}", *_nearest(found[1], names)]
    found = re.search(r"the following arguments are required: (.+)", message)
    if found:
        missing = found[1].replace("fit.", "--") if not key else f"--{key}.{found[1].replace(', ', f', --{key}.')}"
        return [f"error: {missing} is missing; for example: evenhand fit --data MNIST1D --model LitCNN"]
    found = re.search(r"File does not exist: '([^']+)'", message)
    if found:
        return [f"error: there is no file {found[1]}"]
    lines = [" ".join(line.split()) for line in message.splitlines() if line.strip()]
    return [f"error: {lines[0]}", *lines[1:4]]


def _nearest(name: str, valid: Iterable[str]) -> list[str]:
    names = list(dict.fromkeys(valid))
    near = difflib.get_close_matches(name, names, n=4, cutoff=0.5)
    if near:
        return [f"nearest: {', '.join(near)}"]
    return [f"known: {', '.join(sorted(names)[:30])}"] if names else []


def _owner(message: str, start: int, end: int) -> str:
    """The class that was given a setting it lacks: a callable's is named behind the complaint, any other ahead."""
    behind = re.match(r"\. Got value: Namespace\(class_path='([^']+)'", message[end:])
    ahead = re.findall(r"given class_path '([^']+)'", message[:start])
    return behind[1] if behind else ahead[-1] if ahead else ""


def _settings_of(class_path: str) -> list[str]:
    if not class_path:
        return []
    parser = ArgumentParser()
    parser.add_class_arguments(import_object(class_path), fail_untyped=False, sub_configs=True)
    given_elsewhere = {"help", "params", *FACTS}
    return [one.dest for one in parser._actions if one.dest not in given_elsewhere and not one.dest.endswith(".help")]


def _value(message: str) -> str:
    """The value of the innermost complaint, which is the first to tell it."""
    typed = re.search(r"NestedArg\(key='[^']*', val='([^']*)'\)", message)
    if typed:
        return typed[1]
    told = re.search(r"(?:Given|Got) value: ([^\n]+?)(?:\. Got value|\n|$)", message)
    return told[1] if told and not set(told[1]) & set("({") else ""
