"""A parsing error in at most five lines: the key, the value and the nearest valid names.

jsonargparse nests the errors of every alternative of a type, up to fifty lines deep; the innermost one helps.
"""

import difflib
import re
from collections.abc import Iterable
from typing import Any, NoReturn

from lightning.pytorch import Callback
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.loggers import Logger
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from typing_extensions import override

from datamodules import DataModule
from experiments.cli.arguments import Words
from experiments.cli.class_settings import OTHER_CLASSES, advice_on_data, check_classes, likely_names, settings_of
from experiments.cli.typed_settings import typed
from experiments.exit_codes import Refused
from experiments.internals.jsonargparse_private import option_names, subclass_paths
from experiments.network_option import check_networks, network_sentence
from lit_models import LitModel

CHOICES: dict[str, tuple[type, str]] = {
    "model": (LitModel, "LitMLP"),
    "data": (DataModule, "TableData"),
    "optimizer": (Optimizer, "SGD"),
    "scheduler": (LRScheduler, "CosineAnnealingLR"),
    "loss": (nn.Module, "CrossEntropyLoss"),
    "callbacks": (Callback, "EarlyStopping"),
    "logger": (Logger, "CSVLogger"),
}
"""Base class of the classes that a setting takes, and an example, under the last part of its key."""


KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "dict": "names with values, as in {{name: value}}",
    **dict.fromkeys(("list", "tuple", "sequence"), "a list, as in [{value}]"),
}
"""Words for the types of values, by the names of their classes in small letters."""

HELP = "evenhand fit --help-all"


class Parser(LightningArgumentParser):
    """Lightning's parser with short errors, and without argparse's guesses at abbreviated options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, allow_abbrev=False, **kwargs)
        self.words: Words = []
        self.validates = True
        """False where the same settings have been validated: it takes a fifth of a short fit."""

    def parse_args(self, args: Any = None, *others: Any, **options: Any) -> Any:
        """Parses words, once they have been checked for mistakes that jsonargparse would report as others.

        Raises:
            ConfigError: If a path is typed in place of a class.
        """
        self.words = [*args] if isinstance(args, list) else []
        check_classes(self.words)
        config = super().parse_args(args, *others, **options)
        if self.exit_on_error:  # complete, and not that of a nested class
            check_networks(config)
        return config

    @override
    def validate(self, *args: Any, **options: Any) -> None:
        if self.validates:
            super().validate(*args, **options)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raises ``Refused`` with the explanation."""
        if not self.exit_on_error:  # a nested parser of a class; the outer one explains
            super().error(message, ex)
        valid = option_names(getattr(ex, "subcommand_parser", None) or self, next(iter(self.words), ""))
        raise Refused([line[:300] for line in explain(message, valid, self.words)[:5]])


def explain(message: str, valid: list[str], words: Words) -> list[str]:
    """Returns a line about the wrong setting in jsonargparse's message about words, and one with the nearest names.

    ``valid`` are the settings without those of the classes that the words name.
    """
    key = ".".join(re.findall(r'Parser key "([^"]+)"', message))
    if found := re.search(r"(?i)does not accept option '([^']+)'|unrecognized arguments: --([^\s=]+)", message):
        name = found[1] or found[2]
        likely = " or ".join(f"--{option}" for option in likely_names(name, words, valid))
        return [f"error: there is no setting {name}; " + (f"did you mean {likely}?" if likely else f"{HELP} lists all")]
    if found := re.search(r"unrecognized arguments: (\S+)", message):
        return [f"error: {found[1]} is no option; {advice_on_data(found[1], HELP + ' lists all')}"]
    if found := re.search(r"Option '([^']+)' is not accepted", message):
        owner, here = _owner(message, found.start(), found.end()), f"{key}.{found[1]}"
        if key in ("data", "model") and not typed(words, key):
            example = advice_on_data(_value(message), f"as in --{key} {CHOICES[key][1]}")
            return [f"error: --{key} is missing, whose class has the setting {here}; {example}"]
        problem = f"{owner.rpartition('.')[2]} has no setting {found[1]!r}"
        names = [f"{key}.{name}" for name in settings_of(owner)]
        return [f"error: --{f'{here} {_value(message)}'.rstrip()}: {problem}", *_nearest(here, names)]
    # For callbacks jsonargparse also tries the base class, by a path that is not allowed.
    found = re.search(
        r"Importing '(?!lightning\.Callback')([^']+)' is not allowed(?:, since ([^\n]+?)\.+(?:\s|$))?", message
    )
    if found and found[2]:
        return [
            f"error: --{key} {found[1]}: {found[2]}, so that a configuration may not name it",
            f"to allow it all the same: --trust {found[1]}",
        ]
    if found:
        package = found[1].rpartition(".")[0]
        return [
            f"error: --{key} {found[1]}: only classes of torch, Lightning, torchmetrics and Evenhand may be named; "
            f"if {package} is a package of your own, add --trust {package}"
        ]
    if found := re.search(r"subclass of (?:<class ')?(\w+)", message):
        given = re.search(r"Given value: {'class_path': '([\w.]+)", message)
        path = given[1] if given else _value(message)
        if key == "model" and (sentence := network_sentence(path)):
            return [f"error: {sentence}"]
        example = CHOICES[key.rpartition(".")[2]][1] if key.rpartition(".")[2] in CHOICES else ""
        own = "; derive your own from InMemoryData, or train on it in Python with LitMLP.for_data" * (key == "data")
        return [
            f"error: --{key} {path}: it is no {found[1]}, and --{key} takes a class "
            f"that is derived from it{f', such as {example}' if example else ''}{own}"
        ]
    if names := [name for found in re.findall(r"Literal\[([^\]]+)\]", message) for name in found.split(", ")]:
        return [f"error: --{key} {_value(message)}: not one of {', '.join(dict.fromkeys(names))}"]
    required = re.search(r"the following arguments are required: (.+)", message)
    if kinds := [] if required else _expected(message):
        last, wrong = key.rpartition(".")[2], f"error: --{key} {_value(message)}"
        if last in ("logger", "callbacks"):
            return [f"{wrong}: expected a class; --{key}+={CHOICES[last][1]} adds one"]
        return [f"{wrong}: expected {' or '.join(dict.fromkeys(kinds))}"]
    if found := re.search(r"Expected a dot import path string: (\S+)", message):
        base, _ = CHOICES.get(key.rpartition(".")[2], (None, ""))
        names = [path.rpartition(".")[2] for path in subclass_paths(base)] if base else []
        if key == "model.schedule" and found[1] in (path.rpartition(".")[2] for path in subclass_paths(LRScheduler)):
            return [f"error: --{key} {found[1]}: did you mean --{key}.scheduler {found[1]}?"]
        other = OTHER_CLASSES.get(found[1].lower().removeprefix("lit")) if key == "model" else None
        nearest = [f"did you mean {other}?"] if other else _nearest(found[1], names)
        return [f"error: --{key} {found[1]}: there is no class {found[1]!r}", *nearest]
    if found := required:
        names = [re.sub(r"^(fit|validate|test|predict)\.", "", name) for name in found[1].split(", ")]
        missing = ", ".join(f"--{key}.{name}" if key else f"--{name}" for name in names)
        model = "LitModule --model.network torch.nn.Linear" if missing == "--model.network" else "LitCNN"
        if key.startswith("trainer."):
            return [f"error: {missing} is missing"]
        if key == "data":
            example = "--data TableData --data.path my.csv --data.target COLUMN"
            return [f"error: {missing} is missing; for example: evenhand fit {example}"]
        if (verb := next(iter(words), "")) in ("test", "validate", "predict"):
            return [f"error: {missing} is missing; for example: evenhand {verb} --ckpt_path FOLDER_OF_A_RUN"]
        return [f"error: {missing} is missing; for example: evenhand fit --data Shapes1D --model {model}"]
    if found := re.search(r"File does not exist: '([^']+)'", message):
        return [f"error: there is no file {found[1]}"]
    if key and "Union subtypes" in message:
        return [f"error: --{key} {_value(message)}: it takes other values, which {HELP} shows"]
    lines = [" ".join(line.split()) for line in message.splitlines() if line.strip()]
    return [f"error: {lines[0]}", *lines[1:4]]


def _expected(message: str) -> list[str]:
    """Returns words for the types that a value could have had; empty where the message names none."""
    names = re.findall(r"Expected an? <class '(?:\w+\.)*(\w+)'>", message)
    value = _value(message).strip("[]() ")
    kinds = [KINDS.get(name.lower(), name).format(value=value or "value") for name in names if name != "NoneType"]
    counts = re.findall(r"Expected a tuple with (\d+) elements", message)
    return [*kinds, *(f"a list of {count} values" for count in counts)]


def _nearest(name: str, valid: Iterable[str]) -> list[str]:
    names = list(dict.fromkeys(valid))
    parts = [option for option in names if name and name.lower() in option.lower()]
    if near := list(dict.fromkeys([*parts, *difflib.get_close_matches(name, names, n=4, cutoff=0.5)]))[:4]:
        return [f"nearest: {', '.join(near)}"]
    return [f"known: {', '.join(sorted(names)[:30])}"] if names else []


def _owner(message: str, start: int, end: int) -> str:
    # jsonargparse names a callable's class behind the setting, any other in front.
    behind = re.match(r"\. Got value: Namespace\(class_path='([^']+)'", message[end:])
    ahead = re.findall(r"given class_path '([^']+)'", message[:start])
    return behind[1] if behind else ahead[-1] if ahead else ""


def _value(message: str) -> str:
    """Returns the value in the innermost error, which is the first one with a value."""
    if nested := re.search(r"NestedArg\(key='[^']*', val='([^']*)'\)", message):
        return nested[1]
    value = re.search(r"(?:Given|Got) value: ([^\n]+?)(?:\. Got value|\n|$)", message)
    return value[1] if value and not set(value[1]) & set("({") else ""
