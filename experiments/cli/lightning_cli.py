"""``evenhand fit``, ``validate``, ``test`` and ``predict``: a LightningCLI whose runs are recorded."""

from functools import partial
from typing import Any

import yaml
from jsonargparse import Namespace
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from typing_extensions import override

from datamodules import DataModule
from experiments.allowed_classes import is_below
from experiments.cli.arguments import Words
from experiments.cli.devices import check_devices
from experiments.cli.entry_point import answer
from experiments.cli.error_messages import Parser
from experiments.cli.fit_parser import add_run_options, complete_words, constructor_errors, dump, trainer_defaults
from experiments.cli.option_ranges import check_ranges
from experiments.cli.typed_settings import setting_name, typed_names, types_mode
from experiments.figures.learning_rates import RateFigure
from experiments.run import tuner
from experiments.run.cpu_speed import return_freed_memory
from experiments.run.distributed import strategy
from experiments.run.precision import AnyPrecisionTrainer
from experiments.run.prepare_run import Command, prepare_run, test_and_summarize
from experiments.run.record.config_diff import flat
from experiments.run.record.run_directory import drawn_seed
from experiments.terminal import say
from lit_models import ConfigError, LitModel

_parsers: dict[tuple[Any, ...], dict[str, Any]] = {}
"""What ``setup_parser`` sets, by verb and defaults."""


class EvenhandCLI(LightningCLI):
    """LightningCLI in subclass mode that links what the data module computes to the model and records runs.

    Args:
        args: Words of the command line, the verb first.
        command: The whole command, for the record.
        allowed: Settings that may differ from the checkpoint's.
    """

    def __init__(self, args: Words, command: list[str], allowed: list[str]) -> None:
        self.command, self.allowed = command, allowed
        self.verb_parser: LightningArgumentParser
        return_freed_memory()
        verb = {name: skip for name, skip in self.subcommands().items() if args[:1] == [name]}
        if verb:  # making the parsers of the other three takes a tenth of a second
            self.subcommands = lambda: verb  # type: ignore[method-assign]
        defaults = trainer_defaults()
        try:
            super().__init__(
                LitModel,
                DataModule,
                save_config_callback=None,  # the record writes it once everything is in order
                trainer_class=AnyPrecisionTrainer,
                trainer_defaults=defaults,
                parser_class=Parser,
                subclass_mode_model=True,
                subclass_mode_data=True,
                args=args,
                auto_configure_optimizers=False,  # --model.optimizer and --model.schedule are the model's own
            )
        finally:
            for base in (LitModel, DataModule):  # the parser stays, and with Lightning's own all that was made
                self.parser.add_instantiator(_instantiate, base)

    @override
    def setup_parser(self, *args: Any, **kwargs: Any) -> None:
        """Takes the parser of an earlier command of this process: making one takes a tenth of a short fit."""
        key, before = (*self.subcommands(), *self.trainer_defaults.items()), {*vars(self)}
        if key not in _parsers:
            super().setup_parser(*args, **kwargs)
            _parsers[key] = {name: value for name, value in vars(self).items() if name not in before}
        vars(self).update(_parsers[key])

    @override
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        add_run_options(parser)
        self.verb_parser = parser

    @override
    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        assert isinstance(args, list)
        words, self.message, is_valid = complete_words(args)
        assert isinstance(parser, Parser)
        parser.validates = not is_valid
        self.mode_typed, self.length_typed = types_mode(words), "trainer.max_epochs" in typed_names(args)
        self.config = parser.parse_args(words)
        config = self.config[self.config.subcommand]
        is_fit = self.config.subcommand == "fit"  # a checkpoint of another version may hold any number
        check_ranges(config.as_dict() if is_fit else {"seed_everything": config.seed_everything})
        if config.seed_everything is True or config.seed_everything is None:  # Lightning's own choice is always 0
            config.seed_everything = drawn_seed()
        # Lightning reads the path next, and lets the checkpoint's hyperparameters replace what was typed (PL#21455).
        self.checkpoint, config.ckpt_path = config.ckpt_path, None

    @override
    def before_instantiate_classes(self) -> None:
        verb, config = str(self.subcommand), self.config[self.subcommand]
        config.ckpt_path = self.checkpoint
        # Lightning's own dump, for the hyperparameters, has all settings, and validates once more: a seventh of a fit.
        options = {"skip_link_targets": False, "skip_none": False, "skip_validation": True}
        kept = Namespace({"subcommand": verb, verb: Namespace({name: config[name] for name in ("model", "data")})})  # type: ignore[no-untyped-call]
        self.config_dump = yaml.safe_load(self.parser.dump(kept, format="yaml", **options))[verb]

    @override
    def instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        found = list[tuner.Found]()
        with constructor_errors():
            check_devices(config, training=self.subcommand == "fit")
            searches = tuner.take_searches(config) if self.subcommand == "fit" else []
            super().instantiate_classes()
            for search in searches if self.run.start.checkpoint is None else ():
                found.append(tuner.find(search, self.config_init.fit.trainer, self.model, self.datamodule))
                config[found[-1].key] = found[-1].value
                if config.seed_everything is not False:
                    seed_everything(config.seed_everything, workers=True)
                super().instantiate_classes()
        if self.run.record is not None and found:
            self.run.record.content["found"] = {one.name: one.value for one in found}
        callbacks: list[Callback] = self.run.trainer.callbacks  # type: ignore[attr-defined]  # set from another class
        callbacks += [RateFigure(one.rates, one.losses, one.value) for one in found if one.rates]
        self.message = "\n".join([self.message, *(f"found {one.name} {one.value:.3g}" for one in found)]).strip()

    @override
    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        config, instantiated = self.config[self.subcommand], self.config_init[self.subcommand]
        dump_config = partial(dump, self.verb_parser)
        command = Command(
            str(self.subcommand), self.command, self.allowed, dump_config, self.mode_typed, self.length_typed
        )
        self.run = prepare_run(command, config, instantiated.trainer, self.model, self.datamodule)
        names = [*flat(config.as_dict()), *self.run.start.changes.values]
        for name in self.allowed:
            if not any(is_below(setting, [setting_name(name)]) for setting in names):
                raise ConfigError(f"--allow_change {name}: there is no such setting; name one as model.hidden")
        checkpoint = self.run.start.checkpoint
        instantiated.ckpt_path = checkpoint and str(checkpoint)
        if checkpoint is not None:
            instantiated.weights_only = True  # no code of a checkpoint runs
        return self.run.trainer

    def before_fit(self) -> None:
        """Prints the choices that were made for the user."""
        self.whole_model = strategy.whole(self.trainer, self.model)
        message = "\n".join(filter(None, (self.message, self.run.message)))
        if message and self.trainer.is_global_zero:
            say(message)

    def after_fit(self) -> None:
        """Tests the best checkpoint."""
        model, sharded = self.whole_model or self.model, self.whole_model is not None
        test_and_summarize(self.run, model, self.datamodule, self.config.fit.test_at_end, sharded)


def _instantiate(class_type: type, *args: Any, **kwargs: Any) -> Any:
    return class_type(*args, **kwargs)


def run(words: Words) -> int:
    """Runs one of Lightning's verbs as ``answer`` does; ``--help-all`` prints the help of the full parser."""
    return answer(["--help" if word == "--help-all" else word for word in words], EvenhandCLI)
