"""Shell completion of verbs, options and class names, as a script that shtab writes."""

import argparse
from collections.abc import Mapping

import datamodules
import lit_models
from datamodules import DataModule
from experiments.cli.arguments import VerbParser
from experiments.cli.class_settings import settings_of
from experiments.cli.fit_parser import fit_parser
from experiments.internals.jsonargparse_private import option_names
from lit_models import ConfigError, LitModel

FULL = ("fit", "validate", "test")
"""Verbs that take all settings."""


def script(shell: str, parsers: Mapping[str, VerbParser]) -> str:
    """Returns the script for bash, zsh or tcsh; ``parsers`` are those of the verbs' short help.

    Raises:
        ConfigError: Without the package shtab.
    """
    try:
        import shtab
    except ModuleNotFoundError as error:
        raise ConfigError("evenhand completion needs shtab; pip install '.[completion]' in the checkout") from error
    parser = argparse.ArgumentParser("evenhand", add_help=False)
    verbs = parser.add_subparsers()
    classes = {"--model": _names(lit_models, LitModel), "--data": _names(datamodules, DataModule)}
    options = sorted({*_settings(), *classes})
    for verb, short_help in parsers.items():
        if verb not in FULL:
            verbs.add_parser(verb, parents=[short_help], add_help=False, help=short_help.summary)
            continue
        made = verbs.add_parser(verb, add_help=False, help=short_help.summary)
        for option in options:
            made.add_argument(option, choices=classes.get(option))
    text: str = shtab.complete(parser, shell)
    return text


def _settings() -> list[str]:
    """Returns the options of ``fit``, with those of all models and data sets of Evenhand."""
    names = [name for name in option_names(fit_parser()) if not name.endswith((".help", "help"))]
    for owner, package, base in (("model", lit_models, LitModel), ("data", datamodules, DataModule)):
        for name in _names(package, base):
            names += [f"{owner}.{setting}" for setting in settings_of(f"{package.__name__}.{name}")]
    return [f"--{name}" for name in dict.fromkeys([*names, "trust", "allow_change", "debug"])]


def _names(package: object, base: type) -> list[str]:
    named = {name: getattr(package, name) for name in dir(package)}
    return [name for name, kind in named.items() if isinstance(kind, type) and issubclass(kind, base)]
