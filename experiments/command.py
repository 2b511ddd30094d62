"""One command: what its words say about this process, and how it ends."""

import os
import sys
import traceback
from collections.abc import Callable

from lightning.fabric.utilities.exceptions import MisconfigurationException

import datamodules
import lit_models
from datamodules import DataError
from experiments import parsing, trust
from experiments.exits import Diverged, RankDied, SaveError, at_once, handled
from experiments.machine import whole_floats
from experiments.quiet import quieten
from experiments.run import launching
from experiments.run.checkpoints import checkpoint_of, config_in
from experiments.run.continuing import LAST, typed
from experiments.run.directory import LAUNCHED
from lit_models import ConfigError

USER_ERRORS = (ConfigError, DataError, MisconfigurationException, trust.TrustError, Diverged, RankDied, SaveError)

for package in (lit_models, datamodules):  # a short name resolves to classes that were imported
    for name in package.__all__:
        getattr(package, name)
parsing.install()
launching.install()


def answer(words: list[str], do: Callable[[list[str], list[str], list[str]], object]) -> int:
    """Do what the words ask for, and turn an error into a sentence and an exit code.

    Args:
        words: The command line's, with ``--trust``, ``--allow_change`` and ``--debug`` among them.
        do: Gets the words without those, the whole command, and the changes that are allowed.

    Raises:
        SystemExit: With 1 for a bug, 2 for a bad configuration or bad data, 3 where the run diverged, 4 where another
            of its processes is gone, 130 and 143 where SIGINT or SIGTERM ended it.
    """
    command = ["evenhand", *words]
    words, packages = trust.take(words, "--trust")
    words, allowed = trust.take(words, "--allow_change")
    debug = "--debug" in words
    quieten()
    whole_floats()
    try:
        with handled(at_once):
            trust.allow(packages)
            path = typed(words, "ckpt_path")
            if path not in (None, LAST):
                path = str(checkpoint_of(path, "last" if words[:1] == ["fit"] else "best"))
                words = [*words, "--ckpt_path", path]
                config_in(path, for_fit=False)  # ahead of the parser, which takes a while to be made
            do([word for word in words if word != "--debug"], command, allowed)
    except Exception as error:
        what = told(error)
        if debug:
            traceback.print_exc()
        said = " ".join(str(what or error).split())
        bug = "" if what else f"a bug in Evenhand or in a class of yours: {type(error).__name__}: "
        hint = "" if what or debug else "; --debug shows where"
        if not getattr(what, "silent", False):
            print(f"error: {bug}{said[:1000]}{hint}", file=sys.stderr)
        raise SystemExit(getattr(what, "code", 2) if what else 1) from error
    finally:
        os.environ.pop(LAUNCHED, None)  # of a fit that was refused on its way; the next in this process is another run
    return 0


def innermost(error: BaseException) -> str:
    """What the error at the bottom of a chain says."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error)


def told(error: BaseException | None) -> BaseException | None:
    """The error that tells a person what is wrong, which jsonargparse may have wrapped; None for a bug."""
    while error is not None and not isinstance(error, USER_ERRORS):
        error = error.__cause__
    return error
