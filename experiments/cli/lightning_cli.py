"""``evenhand fit|validate|test|predict``: a LightningCLI, its runs recorded."""

from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI

from datamodules import DataModule
from experiments.cli import arguments, callback_settings, default_model
from experiments.cli.arguments import beneath, find_run, typed
from experiments.cli.devices import check_devices, device_defaults
from experiments.cli.entry_point import answer, innermost, told
from experiments.cli.error_messages import FACTS, Parser
from experiments.run import tuner
from experiments.run.callbacks import run_callbacks
from experiments.run.checkpoints.best_checkpoint import best_path, config_in
from experiments.run.checkpoints.checkpoint_io import SafeCheckpointIO
from experiments.run.cpu_speed import Heap, Unprofiled, give_back
from experiments.run.distributed import strategy
from experiments.run.distributed.heartbeat import Watch
from experiments.run.distributed.strategy import run_plugins
from experiments.run.precision import AnyPrecisionTrainer, settled_precision
from experiments.run.progress_bar import progress_bar
from experiments.run.record.artifacts import write_predictions
from experiments.run.record.config_diff import Changes, Start
from experiments.run.record.record import RunRecord
from experiments.run.record.record_io import config_of
from experiments.run.record.run_directory import LAST, RunDirectory, drawn_seed
from experiments.run.record.summary import summary
from experiments.run.record.tensorboard import RunLogger
from experiments.run.resume.checkpoint_filter import amendment
from experiments.run.resume.resume_plan import decide
from experiments.terminal import say
from lit_models import ConfigError, LitModel

TRAINER_DEFAULTS = {"max_epochs": 40, "num_sanity_val_steps": 0, "enable_model_summary": False}
"""Lightning's own are 1000 epochs, two validation batches ahead of the first epoch, and a table of modules."""


class EvenhandCLI(LightningCLI):
    """LightningCLI in subclass mode, linking the data's facts into the model and recording what runs.

    Args:
        args: The command line's words, without those that are about this process.
        command: All words, for the record.
        allowed: Settings that may change although a checkpoint was trained with others.
    """

    def __init__(self, args: list[str], command: list[str], allowed: list[str] | None = None) -> None:
        self.command = command
        self.allowed = allowed or []
        self.said = ""
        give_back()
        verb = {name: skip for name, skip in self.subcommands().items() if args[:1] == [name]}
        if verb:  # setting up the other three takes a tenth of a second
            self.subcommands = lambda: verb  # type: ignore[method-assign]
        super().__init__(
            LitModel,
            DataModule,
            save_config_callback=None,  # the record writes it, once everything is known to be in order
            trainer_class=AnyPrecisionTrainer,
            trainer_defaults={**TRAINER_DEFAULTS, **device_defaults()},
            parser_class=Parser,
            subclass_mode_model=True,
            subclass_mode_data=True,
            args=args,
            auto_configure_optimizers=False,  # --model.optimizer and --model.schedule are the model's own
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """The run's names, how often it is saved, and the way of the facts."""
        parser.add_argument("--experiment", type=str | None, default=None, help="Folder of the run; the data's name.")
        parser.add_argument("--run", type=str | None, default=None, help="Name of the run; model, seed and time.")
        parser.add_argument(
            "--save_every_n_steps", type=int | None, default=None, help="Write last.ckpt within epochs too."
        )
        parser.add_argument(
            "--test_at_end", type=bool, default=True, help="Test the best checkpoint; false leaves the test rows alone."
        )
        parser.add_argument("--figures", type=bool, default=True, help="Draw the test's figures into TensorBoard.")
        for fact in FACTS:
            parser.link_arguments(f"data.{fact}", f"model.init_args.{fact}", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse, the configuration of the checkpoint or the run before under everything that was typed."""
        assert isinstance(args, list)
        words = arguments.in_precedence(args)
        for_fit = words[:1] == ["fit"]
        path = typed(words, "ckpt_path")
        found = find_run(words) if for_fit and not ("-h" in words or "--help" in words) else None
        if path not in (None, LAST):
            words = [*words[:1], "-c", beneath(config_in(path, for_fit), words), *words[1:]]
        elif found is not None:
            words = [*words[:1], "-c", beneath(config_of(found.path), words), *words[1:]]
            words += ["--experiment", found.experiment, "--run", found.run]
        elif for_fit and self._lacks_model(words):
            of_data = arguments.without(words, "--print_config", "--model")
            made = DataCLI(of_data, self.command, self.allowed)
            chosen = default_model.choose(made.datamodule, made.config.fit.data.class_path)
            words = [*words[:1], "-c", yaml.safe_dump(chosen.config), *words[1:]]
            self.said = chosen.sentence
        self.config = parser.parse_args(words)

    @staticmethod
    def _lacks_model(words: list[str]) -> bool:
        """Whether there are data and no model, so that one has to be chosen."""
        for_help = any(word.startswith(("-h", "--help", "--model.help", "--data.help")) for word in words)
        return not for_help and typed(words, "data") is not None and typed(words, "model") is None

    def _parse_ckpt_path(self) -> None:
        """Nothing: Lightning's way lets the checkpoint win over what was typed."""

    def _set_seed(self) -> None:
        """A seed of its own for every run that typed none, written into its configuration."""
        config = self.config[self.config.subcommand]
        if config.seed_everything is True:
            config.seed_everything = drawn_seed()
        super()._set_seed()

    def instantiate_classes(self) -> None:
        """Make data, model and trainer; what a constructor refuses is the configuration's fault."""
        try:
            check_devices(self.config[self.subcommand], training=self.subcommand == "fit")
            self._find() if self.subcommand == "fit" else super().instantiate_classes()
        except (TypeError, ValueError) as error:
            if told(error) is None:
                raise ConfigError(innermost(error)) from error
            raise

    def _find(self) -> None:
        """The same, anew with what a finder found, where one is among the callbacks."""
        config = self.config.fit
        finders, found = tuner.take(config), {}
        super().instantiate_classes()
        for finder in finders if self.start.checkpoint is None else ():
            name, value = tuner.find(finder, self.config_init.fit.trainer, self.model, self.datamodule)
            config[name] = found[name.replace(".init_args", "")] = value
            super()._set_seed()
            super().instantiate_classes()
        if self.record is not None and found:
            self.record.content["found"] = found

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The trainer that was asked for, with the record, the checkpoints, the logger and the progress beside it."""
        config = self.config[self.config.subcommand]
        settings = self._get(self.config_init, "trainer", default={})
        made, written = _as_list(settings.callbacks), _as_list(config.trainer.callbacks)
        callbacks = callback_settings.settle(made, written, self.model, self.datamodule.has_val)
        self.record: RunRecord | None = None
        self.start = Start()
        if self.subcommand == "fit" and not settings.get("fast_dev_run"):
            directory = RunDirectory.choose(config, self.model, self.datamodule)
            self._settle_precision(config.trainer, settings, directory.path)
            text = self._parser("fit").dump(self._portable(config), skip_none=False)
            self.start = decide(directory, config, text, self.allowed)
            self.record = RunRecord(directory, text, self.command, self.start, config.figures)
            saves = settings.get("enable_checkpointing") is not False
            callbacks = run_callbacks(
                directory,
                callbacks,
                self.model,
                self.record,
                self.start,
                config.save_every_n_steps if saves else 0,
                self.datamodule.has_val,
            )
            if settings.get("logger") in (None, True):
                kwargs["logger"] = RunLogger(directory)
        else:
            self._settle_precision(config.trainer, settings)
            if self.subcommand == "validate" and not self.datamodule.has_val:
                raise ConfigError("no row validates; give val a share in --data.ratios, or evenhand test the test rows")
            if config.get("ckpt_path"):
                before = config_in(config.ckpt_path, for_fit=True)
                now = self._parser(self.subcommand).dump(self._portable(config), skip_none=False)
                changes = Changes.between(before, now, self.allowed).only("data", "model")
                changes.refuse_unsafe(evaluating=self.subcommand != "fit")
                self.start = Start(Path(config.ckpt_path), changes)
            if settings.get("logger") in (None, True):
                kwargs["logger"] = False
        settings.callbacks = [*callbacks, *progress_bar(settings, callbacks), Heap(), Watch()]
        settings.profiler = settings.get("profiler") or Unprofiled()
        files = SafeCheckpointIO(amendment(self.model, self.datamodule, self.start.changes, self.subcommand == "fit"))
        settings.plugins = run_plugins(_as_list(settings.get("plugins")), files)
        trainer = self._instantiate_trainer({**settings, **kwargs}, [])
        strategy.prepare(trainer, self.model, self.start.changes)
        return trainer

    def _settle_precision(self, config: Any, settings: Any, run: Path | None = None) -> None:
        """Put in what ``auto`` stands for; a run that is there already keeps what it stood for when it began."""
        if config.precision == "auto":
            config.precision = settings.precision = settled_precision(config.accelerator, run)
            sentence = f"--trainer.precision auto is {config.precision} in this run"
            self.said = f"{self.said}\n{sentence}".strip()

    def before_fit(self) -> None:
        """Say what was chosen: the model where none was typed, and the precision where it was ``auto``."""
        self.whole = strategy.whole(self.trainer, self.model)
        if self.said and self.trainer.is_global_zero:
            say(self.said)

    def after_fit(self) -> None:
        """Test the best checkpoint, unless told not to, and say where everything is."""
        path = None if self.record is None else best_path(self.trainer)
        in_parts = self.record is not None and self.whole is not None and path is None  # the weights, in no checkpoint
        if not self.config.fit.test_at_end or in_parts:
            if self.record is not None and self.trainer.is_global_zero:
                self.record.leave_untested(self.trainer)
                if in_parts and self.config.fit.test_at_end:
                    print("the test rows were not looked at: fsdp leaves whole weights in checkpoints alone")
                say(summary(self.record.content, self.record.directory))
            return
        if self.record is None:
            self.trainer.test(self.whole or self.model, datamodule=self.datamodule, verbose=False)
            return
        # Weight averaging, its work done, would load the weights that were averaged and not their average (2.6.6).
        kept: list[Callback] = self.trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it elsewhere
        kept[:] = [callback for callback in kept if not isinstance(callback, WeightAveraging)]
        self.trainer.test(
            self.whole or self.model,
            datamodule=self.datamodule,
            ckpt_path=path,
            weights_only=True if path else None,
            verbose=False,
        )
        if self.trainer.is_global_zero:
            say(summary(self.record.content, self.record.directory))

    def predict(self, model: LitModel, datamodule: DataModule, **kwargs: Any) -> None:
        """Predict the test rows, and write ``predictions.parquet`` into the folder this was started from."""
        if self.trainer.world_size > 1:
            raise ConfigError("predict runs on one device; leave --trainer.devices out or set it to 1")
        batches: Any = self.trainer.predict(model, datamodule=datamodule, **kwargs)
        if self.trainer.is_global_zero:
            columns = {name: torch.cat([batch[name] for batch in batches]) for name in ("row", "prediction")}
            path = Path("predictions.parquet")
            write_predictions(path, columns, datamodule.class_names)
            say(f"{len(columns['row']):,} rows predicted: {path}")

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        kwargs = super()._prepare_subcommand_kwargs(subcommand)
        kwargs["ckpt_path"] = self.start.checkpoint and str(self.start.checkpoint)
        if kwargs["ckpt_path"]:
            kwargs["weights_only"] = True  # a checkpoint of ours is plain data, and anybody else's runs no code here
        return kwargs

    @staticmethod
    def _portable(config: Any) -> Any:
        """The configuration without what belongs to this one run, so that it can be run again with ``-c``."""
        config = config.clone()
        for key in ("config", "run", "ckpt_path"):
            config.pop(key, None)
        return config


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


class DataCLI(EvenhandCLI):
    """The words of ``fit``, of which only the data module is made: ``datamodule``."""

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse with any model where none is typed."""
        assert isinstance(args, list)
        words = ["fit", *args[1:]]
        super().parse_arguments(parser, words if typed(words, "model") else [*words, "--model", "LitLinear"])

    def instantiate_classes(self) -> None:
        """Make the data module alone."""
        parser = Parser()
        parser.add_subclass_arguments(DataModule, "data")
        config = parser.parse_object({"data": self.config[self.config.subcommand].data})
        self.datamodule = parser.instantiate_classes(config).data

    def plain_config(self) -> dict[str, Any]:
        """The configuration as plain values."""
        config: dict[str, Any] = yaml.safe_load(
            self._parser("fit").dump(self.config[self.config.subcommand], skip_none=False)
        )
        return config

    def _run_subcommand(self, subcommand: str) -> None:
        """Nothing is run."""


def run(words: list[str]) -> int:
    """Run one of Lightning's verbs.

    ``--trust PACKAGE`` lets configurations name a package's classes, ``--allow_change KEY`` lets a setting differ from
    the checkpoint's, ``--debug`` shows an error's whole trace.

    Raises:
        SystemExit: As ``answer`` does.
    """
    return answer(words, EvenhandCLI)
