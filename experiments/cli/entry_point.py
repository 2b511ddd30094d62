"""Runs one command: options of the process, errors as one sentence, and the exit code."""

import logging
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich
from lightning.fabric.utilities.exceptions import MisconfigurationException

import datamodules
import lit_models
from datamodules import DataError
from datamodules.errors import is_out_of_memory
from experiments import import_allowlist
from experiments.cli.arguments import Words, has_option, read_pipes, take
from experiments.cli.typed_settings import typed_text
from experiments.exit_codes import Diverged, RankDied, Refused, SaveError, handled, interrupt
from experiments.internals.jsonargparse_private import install_patches
from experiments.internals.lightning_private import observe_processes
from experiments.lightning_classes import install_lightning_classes
from experiments.network_option import install_network_option
from experiments.run.checkpoints.best_checkpoint import checkpoint_of, config_in
from experiments.run.distributed.heartbeat import observe
from experiments.run.precision import disable_tf32
from experiments.run.record.run_directory import LAST, LAUNCHED
from experiments.run.record.run_lock import release
from experiments.terminal import discard, error_sentence, escape_warnings, say
from lit_models import ConfigError

IGNORED_WARNINGS = (
    ".*isinstance.treespec, LeafSpec.*",  # Lightning's own use of torch's pytree
    ".*is smaller than the logging interval.*",  # nothing is logged by step
    ".*does not have many workers.*",  # batches are sliced in memory
    ".*It is recommended to use .self.log.*sync_dist=True.*",  # every process logs the metric of all rows already
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*callbacks used to create the checkpoint need to be provided.*",  # testing needs none of them
    ".*Total length of `list` across ranks is zero.*",  # a data set may have no validation rows
    r".*barrier\(\): using the device under current context.*",  # torchmetrics', on several GPUs
    ".*GPU available but not used.*",  # typed by the user, or a GPU without float64
    ".*The dirpath has changed from.*",  # a run that resumes another run's checkpoint has a folder of its own
    ".*Couldn't infer the batch indices.*",  # predictions carry their row ids
    ".*The `srun` command is available.*",  # one process needs none, and docs/examples/slurm.sh has it for several
)

USER_ERRORS = (
    ConfigError,
    DataError,
    MisconfigurationException,
    import_allowlist.TrustError,
    Diverged,
    RankDied,
    SaveError,
    OSError,  # of the disk, its folders and the terminal
    ImportError,  # a class that needs a package which is not installed
)

for package in (lit_models, datamodules):  # a short name resolves to imported classes alone
    for name in package.__all__:
        getattr(package, name)
install_patches()
install_network_option()
install_lightning_classes()
observe_processes(observe)
report_thread = threading.excepthook


def quieten() -> None:
    """Hides warnings that hold in every run, Lightning's messages below warnings, and errors reported twice."""
    threading.excepthook = _thread_error
    for pattern in IGNORED_WARNINGS:
        warnings.filterwarnings("ignore", message=pattern)
    escape_warnings()
    console: Any = rich.get_console()  # on which Lightning prints the metrics of test and validate
    console.on_broken_pipe = lambda: discard(sys.stdout)  # by default it exits with 1 behind ``| head``
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("profilers.profiler", "callbacks.early_stopping"):  # reports that were ordered by an option
        logging.getLogger(f"lightning.pytorch.{name}").setLevel(logging.INFO)


def _thread_error(error: threading.ExceptHookArgs) -> None:
    """Reports what ended a thread; TensorBoard raises its writer's OSError in the main thread again."""
    if not (isinstance(error.exc_value, OSError) and type(error.thread).__module__.startswith("tensorboard.")):
        report_thread(error)


Command = Callable[[Words, list[str], list[str]], object]
"""Gets the words without ``--trust``, ``--allow_change`` and ``--debug``, the whole command, and the settings that may
change."""


def answer(words: Words, function: Command) -> int:
    """Runs a command, and turns an error into a sentence and an exit code.

    Raises:
        SystemExit: With 1 for a bug, 2 for a bad configuration or bad data, 3 if the run diverged, 4 if another of its
            processes is gone, 130 and 143 after SIGINT and SIGTERM.
    """
    debug = "--debug" in words
    quieten()
    try:
        perform(words, function)
    except Refused as refused:
        say("\n".join(refused.lines), sys.stderr)
        raise
    except Exception as error:
        if isinstance(error, BrokenPipeError) and has_option(words, "--print_config"):
            discard(sys.stdout)  # behind ``| head``
            return 0
        reported = user_error(error)
        if debug:
            say(traceback.format_exc(), sys.stderr)
        bug = "" if reported else f"a bug in Evenhand or in a class of yours: {type(error).__name__}: "
        hint = "" if reported or debug else "; --debug shows where"
        if not getattr(reported, "silent", False):
            say(f"error: {bug}{error_sentence(reported or error)[:1000]}{hint}", sys.stderr)
        raise SystemExit(getattr(reported, "code", 2) if reported else 1) from error
    return 0


def perform(words: Words, function: Command) -> None:
    """Runs a command; its errors are raised as they are."""
    command = ["evenhand", *words]
    words, packages = take(words, "--trust")
    words, allowed = take(words, "--allow_change")
    disable_tf32()
    try:
        with handled(interrupt):
            words = read_pipes(words)
            path = typed_text(words, "ckpt_path")
            import_allowlist.allow(packages, Path() if import_allowlist.project_applies(words, path) else None)
            if path not in (None, LAST):
                path = str(checkpoint_of(path, "last" if words[:1] == ["fit"] else "best"))
                words = [*words, "--ckpt_path", path]
                config_in(path, for_fit=False)  # fails before the parser, which takes a while to be made
            function([word for word in words if word != "--debug"], command, allowed)
    finally:
        release()
        os.environ.pop(LAUNCHED, None)  # left by a fit that failed early; the next one in this process is another run


def root_cause(error: BaseException) -> str:
    """Returns the message of the first error of a chain."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error)


def user_error(error: BaseException | None) -> BaseException | None:
    """Returns the error that is the user's to correct, which jsonargparse may have wrapped; None for a bug."""
    while error is not None and not isinstance(error, USER_ERRORS):
        if is_out_of_memory(error):
            return ConfigError(f"there is not enough memory; set a smaller --data.batch_size or model ({error})")
        error = error.__cause__
    return error
