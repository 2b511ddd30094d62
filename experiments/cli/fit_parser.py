"""The parser of ``fit``'s words without a LightningCLI: for verbs that need a configuration or the data alone."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import yaml
from jsonargparse import ActionConfigFile, Namespace  # type: ignore[attr-defined]
from lightning.pytorch.cli import LightningArgumentParser

from datamodules import DataModule
from experiments.cli.arguments import RUN_OPTIONS, Words, config_below, in_precedence, take, whole_configs, without
from experiments.cli.devices import check_devices, device_defaults
from experiments.cli.entry_point import root_cause, user_error
from experiments.cli.error_messages import Parser
from experiments.cli.fit_defaults import choose
from experiments.cli.option_ranges import check_ranges
from experiments.cli.typed_settings import AUTO, typed, typed_class, typed_names, typed_settings, typed_text
from experiments.run.checkpoints.best_checkpoint import config_in
from experiments.run.cpu_speed import return_freed_memory
from experiments.run.precision import AnyPrecisionTrainer
from experiments.run.record.record_io import config_of
from experiments.run.record.run_directory import LAST, RunDirectory, drawn_seed, find_run, root_of
from lit_models import ConfigError, LitModel
from lit_models.data_facts import FACTS

TRAINER_DEFAULTS = {"max_epochs": 40, "num_sanity_val_steps": 0, "enable_model_summary": False}
"""Lightning's own are 1000 epochs, two validation batches ahead of the first epoch, and a table of modules."""


def trainer_defaults() -> dict[str, Any]:
    """Returns the Trainer's arguments that differ from Lightning's defaults on this machine."""
    return {**TRAINER_DEFAULTS, **device_defaults()}


def add_run_options(parser: LightningArgumentParser) -> None:
    """Adds the options of a run, and links what the data module computes to the model's arguments."""
    for name, kind, default, _, text in RUN_OPTIONS:
        parser.add_argument(f"--{name}", type=kind, default=default, help=text)
    for fact in FACTS:
        parser.link_arguments(f"data.{fact}", f"model.init_args.{fact}", apply_on="instantiate")


def fit_parser() -> Parser:
    """Returns a parser that takes what ``evenhand fit`` takes, in the same order, so that both write the same YAML.

    A process that runs several fits makes it once for the same defaults: it takes a tenth of a second.
    """
    return _fit_parser(tuple(trainer_defaults().items()))


@cache
def _fit_parser(defaults: tuple[tuple[str, Any], ...]) -> Parser:
    parser = Parser()
    parser.add_argument("-c", "--config", action=ActionConfigFile)
    parser.add_argument("--seed_everything", type=bool | int, default=True)
    parser.add_lightning_class_args(AnyPrecisionTrainer, "trainer")
    parser.set_defaults({f"trainer.{name}": value for name, value in defaults})
    parser.add_lightning_class_args(LitModel, "model", subclass_mode=True)
    parser.add_lightning_class_args(DataModule, "data", subclass_mode=True)
    add_run_options(parser)
    skipped = {"model", "train_dataloaders", "val_dataloaders", "datamodule"}
    parser.add_method_arguments(AnyPrecisionTrainer, "fit", skip=skipped)
    return parser


def dump(parser: LightningArgumentParser, config: Namespace) -> str:
    """Returns a configuration as YAML without the keys of this one run, so that ``-c`` can run it again."""
    config = config.clone()
    for key in ("config", "run", "ckpt_path"):
        config.pop(key, None)
    text: str = parser.dump(config, skip_none=False, skip_validation=True)  # it was parsed: half of the time
    return text


def parse_lines(lines: Sequence[Words]) -> list[str]:
    """Parses several command lines of ``fit`` with one parser, and returns their configurations as YAML."""
    parser, loaded = fit_parser(), dict[str, DataModule]()
    configs = [parser.parse_args(complete_words(words, loaded).words[1:]) for words in lines]
    for config in configs:
        check_ranges(config.as_dict())
    return [dump(parser, config) for config in configs]


class CompleteWords(NamedTuple):
    """Words of a verb in order of precedence, an earlier configuration or what is chosen for the data below them."""

    words: Words
    message: str = ""
    """What was chosen; empty without a choice."""
    is_valid: bool = False
    """Whether all that was typed has been parsed and validated, with the model that is typed."""


def complete_words(words: Words, loaded: dict[str, DataModule] | None = None) -> CompleteWords:
    """Puts an earlier configuration, or what is chosen for the data, below the words of a verb.

    Args:
        words: The verb and its words.
        loaded: Data modules by their configuration as YAML, for several commands on the same data; others are added.
    """
    words, has_all = whole_configs(in_precedence(words))
    has_all = has_all and not any(word.partition("=")[0] in ("--model", "--data") for word in words)
    verb, rest, below = words[:1], words[1:], _earlier(words)
    adds_callbacks = "trainer.callbacks+" in typed_settings(words)  # to those that are chosen, in a resumed run as well
    asks_help = any(word.startswith(("-h", "--help", "--model.help", "--data.help")) for word in words)
    if verb != ["fit"] or asks_help or not (adds_callbacks if below else typed(words, "data") and not has_all):
        return CompleteWords([*verb, *below, *rest])
    if typed_class(words, "model") == AUTO:
        words = take(words, "--model")[0]
    whole = [*verb, *below, *words[1:]]
    is_typed = typed_class(whole, "model") is not None
    config = _data_config(without(whole, "--print_config", *(() if is_typed else ("--model",))))
    with constructor_errors():  # ahead of the data
        check_devices(config, training="data.batch_size" in typed_names(words))
    key = yaml.safe_dump(config.data.as_dict())
    loaded = {} if loaded is None else loaded
    data = loaded[key] = loaded.get(key) or _instantiated(config)
    chosen, message = choose(data, config, words, is_typed)
    if below:
        chosen, message = {"trainer": {"callbacks": chosen["trainer"]["callbacks"]}}, ""
    return CompleteWords([*verb, "-c", yaml.safe_dump(chosen), *below, *words[1:]], message, is_typed)


def load_data(words: Words) -> tuple[Namespace, DataModule]:
    """Makes the data module of a command line, whose verb is not used; returns the configuration, with a seed, too.

    Raises:
        ConfigError: For settings that its constructor refuses.
    """
    return_freed_memory()
    words, _ = whole_configs(in_precedence(["fit", *words[1:]]))
    config = _data_config([*words[:1], *_earlier(words), *words[1:]])
    if config.seed_everything is True or config.seed_everything is None:
        config.seed_everything = drawn_seed()
    return config, _instantiated(config)


def _data_config(words: Words) -> Namespace:
    """Returns the configuration of words in order of precedence, with any model if none is typed."""
    if typed_class(words, "model") is None:
        words = in_precedence([*words, "--model", "LitLinear"])
    config: Namespace = fit_parser().parse_args(words[1:])
    check_ranges(config.as_dict())
    return config


def _instantiated(config: Namespace) -> DataModule:
    parser = Parser()
    parser.add_subclass_arguments(DataModule, "data")
    with constructor_errors():
        data: DataModule = parser.instantiate_classes(Namespace(data=config.data)).data  # type: ignore[no-untyped-call]
    return data


@contextmanager
def constructor_errors() -> Iterator[None]:
    """Reports what a constructor refuses as an error of the configuration.

    Raises:
        ConfigError: In place of a TypeError or ValueError.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        if user_error(error) is None:
            raise ConfigError(root_cause(error)) from error
        raise


def _earlier(words: Words) -> Words:
    """Returns the configuration of a typed checkpoint, or of the run that the words resume, as words; empty for none.

    The names of a resumed run's folders, which no file has, are among them.
    """
    path = typed_text(words, "ckpt_path")
    if path not in (None, LAST):
        return ["-c", config_below(config_in(path, words[:1] == ["fit"]), words)]
    if words[:1] != ["fit"] or (run := _earlier_run(words)) is None:
        return []
    names = yaml.safe_dump({"experiment": run.experiment, "run": run.run})
    return ["-c", config_below(config_of(run.path), words), "-c", names]


def _earlier_run(words: Words) -> RunDirectory | None:
    """Returns the run that ``--run NAME`` or ``--ckpt_path last`` resumes, if it exists."""
    run, last = typed_text(words, "run"), typed(words, "ckpt_path") == LAST
    if run is None and not last:
        return None
    data = typed(words, "data")
    class_path = data.get("class_path") if isinstance(data, dict) else data
    experiment = typed_text(words, "experiment") or (str(class_path).rpartition(".")[2].lower() if class_path else None)
    return find_run(root_of(typed_text(words, "trainer", "default_root_dir")), experiment, run, last)
