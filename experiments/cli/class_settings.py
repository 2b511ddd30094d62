"""Settings of the classes that a command line names, and of the classes that it could name."""

import difflib
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from jsonargparse import ArgumentParser
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from datamodules import DataModule
from experiments.cli.arguments import Words
from experiments.cli.typed_settings import setting_name, typed
from experiments.import_allowlist import module_name
from experiments.internals.jsonargparse_private import ImportDenied, import_object, option_names, subclass_paths
from lit_models import ConfigError, LitModel
from lit_models.data_facts import FACTS

OWNERS: dict[str, tuple[type, str]] = {
    "model": (LitModel, ""),
    "data": (DataModule, ""),
    "model.optimizer": (Optimizer, "torch.optim.AdamW"),
    "model.schedule": (object, "lit_models.Schedule"),
    "model.schedule.scheduler": (LRScheduler, ""),
}
"""Base class and default of the settings that are classes with settings of their own."""

OTHER_NAMES = {
    "learning_rate": "lr",
    "epochs": "max_epochs",
    "num_epochs": "max_epochs",
    "steps": "max_steps",
    "seed": "seed_everything",
    "random_state": "seed_everything",
    "gpus": "devices",
    "device": "accelerator",
    "amp": "precision",
    "wd": "weight_decay",
    "bs": "batch_size",
    "resume": "ckpt_path",
    "checkpoint": "ckpt_path",
    "output_dir": "default_root_dir",
    "save_dir": "default_root_dir",
}
"""Settings by names that other tools have for them."""

OTHER_CLASSES = {
    "lstm": "--model LitRNN --model.cell lstm",
    "gru": "--model LitRNN --model.cell gru",
    "resnet": "--model LitResCNN",
    "conv": "--model LitCNN",
    "attention": "--model LitTransformer",
    "logistic": "--model LitLinear",
    "feedforward": "--model LitMLP",
}
"""Architectures by other names that they have, without Lit ahead."""

READERS = {
    **dict.fromkeys((".csv", ".tsv", ".txt", ".parquet"), "TableData"),
    **dict.fromkeys((".npy", ".npz", ".zip", ".gz", ".jpg", ".png"), "ImageData"),
    ".ts": "SeriesData",
}
"""Class that reads a file, by its ending."""


def check_classes(words: Words) -> None:
    """Refuses a file or folder typed in place of a class; jsonargparse would read it as a configuration.

    Raises:
        ConfigError: For the first one.
    """
    for word, following in pairwise([*words, ""]):
        setting, (_, equals, value) = setting_name(word), word.partition("=")
        value = value if equals else following
        ending = Path(value).suffix.lower()
        if setting not in ("data", "model") or not word.startswith("--") or "\n" in value:
            continue
        if ending in (".yaml", ".yml", ".json") or not (ending in {".py", *READERS} or "/" in value):
            continue
        if ending == ".py":
            module = module_name(value)
            advice = f"write --trust {module} --{setting} {module}.CLASS"
        elif setting == "model":
            advice = "write one such as --model LitMLP"
        else:
            advice = advice_on_data(value, "")
        raise ConfigError(f"--{setting} {value} is a path, and --{setting} takes a class; {advice}")


def advice_on_data(value: str, otherwise: str) -> str:
    """Returns advice on how to name a file or folder of data; ``otherwise`` for what is neither."""
    ending = Path(value).suffix.lower()
    if ending not in READERS and "/" not in value and not Path(value).is_dir():
        return otherwise
    others = "" if ending in READERS else ", or SeriesData, TextData or TableData"
    return f"write --data {READERS.get(ending, 'ImageData')} --data.path {value}{others}"


def settings_of(class_path: str) -> list[str]:
    """Returns the names of a class's settings; empty without a class."""
    if not class_path:
        return []
    parser = ArgumentParser()
    parser.add_class_arguments(import_object(class_path), fail_untyped=False, sub_configs=True)
    return [name for name in option_names(parser) if name not in {"help", "params", *FACTS} and name[-5:] != ".help"]


def likely_names(name: str, words: Words, valid: Iterable[str]) -> list[str]:
    """Returns the settings that an unknown one may stand for: ``model.optimizer.lr`` for ``lr``, or the nearest ones.

    ``valid`` are the settings without those of the classes that the words name. Every model counts, since the words of
    a command without one get any (see ``load_data``).
    """
    names = [option for option in valid if not option.endswith(".help")]
    for owner, (base, default) in OWNERS.items():
        is_model = owner == "model"
        paths = subclass_paths(base) if is_model else _class_paths(base, typed(words, *owner.split(".")), default)
        for path in paths:
            with suppress(ImportError, AttributeError, ImportDenied):  # classes of a package that is not trusted
                names += [f"{owner}.{setting}" for setting in settings_of(path)]
    names, name = list(dict.fromkeys(names)), OTHER_NAMES.get(name.replace("-", "_"), name)
    if same := [option for option in names if option.rpartition(".")[2] == name]:
        return same[:4]
    by_word = {word: option for option in reversed(names) for word in (option, option.rpartition(".")[2])}
    near = difflib.get_close_matches(name, by_word, n=4, cutoff=0.7)
    return list(dict.fromkeys(by_word[word] for word in near))


def _class_paths(base: type, value: object, default: str) -> list[str]:
    """Returns the import path of a typed class, by its short name too, or the default one; empty for neither."""
    name = value.get("class_path") if isinstance(value, dict) else value
    if not isinstance(name, str):
        return [default] if default else []
    return [path for path in subclass_paths(base) if name in (path, path.rpartition(".")[2])][:1]
