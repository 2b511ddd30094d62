"""One command: what its words say about this process, and how it ends."""

import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException

import datamodules
import lit_models
from datamodules import DataError
from experiments import import_allowlist
from experiments.cli import arguments, jsonargparse_patches
from experiments.cli.arguments import typed
from experiments.exit_codes import Diverged, RankDied, SaveError, at_once, handled
from experiments.run.checkpoints.best_checkpoint import checkpoint_of, config_in
from experiments.run.distributed import heartbeat
from experiments.run.precision import whole_floats
from experiments.run.record.run_directory import LAST, LAUNCHED
from experiments.terminal import escape_warnings, say
from lit_models import ConfigError

SAID_EVERY_TIME = (
    ".*isinstance.treespec, LeafSpec.*",  # Lightning's own use of torch's pytree
    ".*is smaller than the logging interval.*",  # nothing is logged by step
    ".*does not have many workers.*",  # batches are sliced in memory
    ".*It is recommended to use .self.log.*sync_dist=True.*",  # every process logs the metric of all rows already
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*callbacks used to create the checkpoint need to be provided.*",  # testing needs none of them
    ".*Total length of `list` across ranks is zero.*",  # no row validates, as somebody asked
    r".*barrier\(\): using the device under current context.*",  # torchmetrics', on several GPUs
    ".*GPU available but not used.*",  # somebody typed so, or no float64
    ".*The dirpath has changed from.*",  # a run that goes on from another run's checkpoint has a folder of its own
)


def quieten() -> None:
    """Leave Lightning's warnings that matter."""
    for pattern in SAID_EVERY_TIME:
        warnings.filterwarnings("ignore", message=pattern)
    escape_warnings()
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)


USER_ERRORS = (
    ConfigError,
    DataError,
    MisconfigurationException,
    import_allowlist.TrustError,
    Diverged,
    RankDied,
    SaveError,
)

for package in (lit_models, datamodules):  # a short name resolves to classes that were imported
    for name in package.__all__:
        getattr(package, name)
jsonargparse_patches.install()
heartbeat.install()


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
    words, packages = arguments.take(words, "--trust")
    words, allowed = arguments.take(words, "--allow_change")
    debug = "--debug" in words
    quieten()
    whole_floats()
    try:
        with handled(at_once):
            path = typed(words, "ckpt_path")
            import_allowlist.allow(packages, Path() if import_allowlist.project_applies(words, path) else None)
            if path not in (None, LAST):
                path = str(checkpoint_of(path, "last" if words[:1] == ["fit"] else "best"))
                words = [*words, "--ckpt_path", path]
                config_in(path, for_fit=False)  # ahead of the parser, which takes a while to be made
            do([word for word in words if word != "--debug"], command, allowed)
    except Exception as error:
        what = told(error)
        if debug:
            say(traceback.format_exc(), sys.stderr)
        said = " ".join(str(what or error).split())
        bug = "" if what else f"a bug in Evenhand or in a class of yours: {type(error).__name__}: "
        hint = "" if what or debug else "; --debug shows where"
        if not getattr(what, "silent", False):
            say(f"error: {bug}{said[:1000]}{hint}", sys.stderr)
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
