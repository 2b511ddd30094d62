"""Prepares the Trainer of one run, with its record, checkpoints, logger and progress bar, and tests it after a fit."""

import csv
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.loggers import CSVLogger, Logger
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.utilities import rank_zero_only

from datamodules import DataModule
from experiments.run.callbacks import run_callbacks, set_directions
from experiments.run.checkpoints.best_checkpoint import best_path, config_in
from experiments.run.checkpoints.checkpoint_io import SafeCheckpointIO, read
from experiments.run.cpu_speed import speed_callbacks, speed_profiler
from experiments.run.distributed import strategy
from experiments.run.distributed.heartbeat import Heartbeat
from experiments.run.precision import AnyPrecisionTrainer, resolved_precision
from experiments.run.progress_bar import progress_bar
from experiments.run.record.artifacts import PredictionWriter
from experiments.run.record.config_diff import Changes, Start
from experiments.run.record.decision_record import lines_of_decisions
from experiments.run.record.look_callback import LookWriter
from experiments.run.record.metadata import summary
from experiments.run.record.method_checks import lines_of_run
from experiments.run.record.record import RunRecord
from experiments.run.record.run_directory import RunDirectory, root_of
from experiments.run.record.run_lock import acquire
from experiments.run.record.tensorboard import RunLogger
from experiments.run.record.training_end import chosen
from experiments.run.resume.checkpoint_filter import filter_checkpoint
from experiments.run.resume.exact_state import KEY as RESUME
from experiments.run.resume.resume_plan import resume_plan
from experiments.terminal import say
from lit_models import ConfigError, LitModel


@dataclass
class PreparedRun:
    """A run that can begin; ``record`` is None unless it is a fit that leaves a folder."""

    trainer: Trainer
    start: Start
    record: RunRecord | None
    message: str  # about choices that were made for the user


@dataclass(frozen=True)
class Command:
    """The command that starts a run: its verb, and all of its words for the record."""

    verb: str
    words: list[str]
    allowed: list[str]  # settings that may differ from the checkpoint's
    dump: Callable[[Namespace], str]  # returns a configuration as YAML
    mode_typed: bool = False  # the mode of a callback is among the words
    length_typed: bool = False  # so is the number of epochs


def prepare_run(
    command: Command, config: Namespace, arguments: Namespace, model: LitModel, data: DataModule
) -> PreparedRun:
    """Makes the Trainer with all that accompanies a run, from its instantiated arguments.

    ``auto`` precision and the callbacks' directions are filled in in the parsed ``config``. Raises ConfigError for
    settings that do not go together, or differ from the checkpoint's.
    """
    message = ""
    is_recorded = command.verb == "fit" and not arguments.get("fast_dev_run") and not arguments.get("barebones")
    typed, configs = as_list(arguments.callbacks), as_list(config.trainer.callbacks)
    callbacks = set_directions(typed, configs, model, data.has_val, command.mode_typed)
    directory = RunDirectory.choose(config, model, data) if is_recorded else None
    if config.trainer.precision == "auto":
        precision = resolved_precision(config.trainer.accelerator, directory.path if directory else None)
        config.trainer.precision = arguments.precision = precision
        message = f"--trainer.precision auto is {precision} in this run"
    record, logger = None, None
    if directory is not None:
        if state := acquire(directory.path):
            raise ConfigError(f"the run {directory.path} is {state}; wait for it, or choose another --run")
        text = command.dump(config)
        start = resume_plan(directory, config, text, command.allowed)
        record, logger = RunRecord(directory, text, command.words, start, config.figures), RunLogger(directory)
        save_every = config.save_every_n_steps if arguments.get("enable_checkpointing") is not False else 0
        looks = LookWriter("fit", directory.root, directory.path)  # before the record, which ends the run
        callbacks = [looks, *run_callbacks(record, callbacks, model, save_every, data.has_val)]
    else:
        if command.verb == "validate" and not data.has_val:
            raise ConfigError("no row validates; give val a share in --data.ratios, or evenhand test the test rows")
        start = _evaluation_start(command, config)
    if start.checkpoint is not None:
        model.fine_tuning.keep_weights()  # the checkpoint's; the file that training began with may be gone
    others = [other for other in as_list(arguments.get("logger")) if isinstance(other, Logger)]
    if arguments.get("logger") is not False:  # typed loggers stand beside the run's own
        arguments.logger = [*([logger] if logger else []), *others] or False
    if others and directory is not None and start.again and start.checkpoint is not None:
        _keep_csv_rows(others, read(start.checkpoint).get(RESUME, {}).get("logged_steps", 0))
    if command.verb == "test":
        callbacks.append(LookWriter("test", root_of(config.trainer.get("default_root_dir"))))
    if command.verb == "predict":
        callbacks.append(PredictionWriter(Path("predictions.parquet"), data.class_names))
    arguments.callbacks = [
        *callbacks,
        *progress_bar(arguments, callbacks, command.length_typed),
        *speed_callbacks(),
        Heartbeat(),
    ]
    if not arguments.get("barebones"):  # which Lightning refuses together with any profiler
        arguments.profiler = arguments.get("profiler") or speed_profiler()
    amend = partial(filter_checkpoint, model, data, start.changes)
    files = SafeCheckpointIO(amend, record.config if record else "")
    arguments.plugins = strategy.run_plugins(as_list(arguments.get("plugins")), files)
    trainer = AnyPrecisionTrainer(**vars(arguments))
    if command.verb == "predict" and trainer.world_size > 1:
        raise ConfigError("predict runs on one device; leave --trainer.devices out or set it to 1")
    strategy.prepare(trainer, model, start.changes)
    return PreparedRun(trainer, start, record, message)


def test_and_summarize(run: PreparedRun, model: LitModel, data: DataModule, test_at_end: bool, sharded: bool) -> None:
    """Tests the best checkpoint of a fit, unless the user did not want a test, and prints a summary.

    ``sharded`` is True if FSDP left every process with a part of the weights, so that only a checkpoint has all.
    """
    trainer, record = run.trainer, run.record
    # The report of the fit is the one that was ordered.
    trainer.profiler = speed_profiler() or PassThroughProfiler()  # type: ignore[attr-defined]  # set from another class
    path = None if record is None else best_path(trainer)
    # Lightning 2.6.6 would load the averaged weights into what WeightAveraging keeps for later training.
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set from another class
    if record is not None:
        callbacks[:] = [callback for callback in callbacks if not isinstance(callback, WeightAveraging)]
    if record is not None and data.has_val and (path or not sharded):
        _validate_chosen(trainer, model, data, path)
    weights_only = True if path else None
    if test_at_end and record is None:
        trainer.test(model, datamodule=data, verbose=False)
    elif test_at_end and (path or not sharded):
        trainer.test(model, datamodule=data, ckpt_path=path, weights_only=weights_only, verbose=False)
    elif record is not None and trainer.is_global_zero:
        if path:
            record.content["chosen"] = chosen(trainer, read(Path(path)))
        record.finish(trainer, "untested")
        if test_at_end:
            say("the test rows were not evaluated: fsdp leaves whole weights in checkpoints alone")
    if record is not None and trainer.is_global_zero:
        lines = [
            *lines_of_decisions(record.content.get("decisions", {})),
            *lines_of_run(record.content.get("checks", {})),
        ]
        say("\n".join([summary(record.content, record.directory), *lines]))


def _validate_chosen(trainer: Trainer, model: LitModel, data: DataModule, path: str | None) -> None:
    """Predicts the validation rows with the best checkpoint, for ``val_predictions.parquet``.

    Nothing is logged, since the curves have these values at their epoch, and callbacks of the training, which may count
    its validations, do not run.
    """
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set from another class
    kept, loggers = [*callbacks], trainer.loggers
    callbacks[:] = [callback for callback in kept if isinstance(callback, RunRecord | Heartbeat)]
    trainer.loggers = []
    weights_only = True if path else None
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Be aware that when using `ckpt_path`")  # of the other callbacks' states
            trainer.validate(model, datamodule=data, ckpt_path=path, weights_only=weights_only, verbose=False)
    finally:
        callbacks[:], trainer.loggers = kept, loggers


def as_list(value: Any) -> list[Any]:
    """Returns a list of one or several values; empty for None."""
    return value if isinstance(value, list) else [] if value is None else [value]


@rank_zero_only
def _keep_csv_rows(loggers: list[Logger], steps: int) -> None:
    """Writes the rows of a typed CSVLogger again, which Lightning deletes; those from a step on are logged anew."""
    for logger in loggers:
        file = Path(logger.log_dir or "") / "metrics.csv"
        if not isinstance(logger, CSVLogger) or not file.is_file():
            continue
        with file.open(newline="", encoding="utf-8") as opened:
            rows: list[Any] = [row for row in csv.DictReader(opened) if int(row["step"]) < steps]
        writer = logger.experiment  # deletes the file
        writer.metrics = rows
        writer.save()


def _evaluation_start(command: Command, config: Namespace) -> Start:
    if not config.get("ckpt_path"):
        return Start()
    before = config_in(config.ckpt_path, for_fit=True)
    changes = Changes.between(before, command.dump(config), command.allowed).only("data", "model")
    changes.refuse_unsafe(evaluating=command.verb != "fit")
    return Start(Path(config.ckpt_path), changes)
