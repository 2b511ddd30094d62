"""Ranges of numeric options: a value that means nothing is refused before any data are read or anything is written."""

import re
from collections.abc import Callable
from inspect import signature
from math import inf
from typing import Any

from lightning.pytorch import Trainer

from experiments.allowed_classes import is_below
from experiments.import_allowlist import ALLOWED
from experiments.run.record.config_diff import flat
from lit_models import ConfigError

LARGEST = 2**63
"""Limit of counts; other numbers are below infinity, which NaN is not."""

Rule = tuple[str, Callable[[Any], bool]]
"""How a number must be, in words and as a test of it."""

ANY: Rule = ("anything", lambda value: True)
FINITE: Rule = ("finite", lambda value: -inf < value < inf)
NOT_NEGATIVE: Rule = ("at least 0 and finite", lambda value: 0 <= value < inf)
POSITIVE: Rule = ("above 0 and finite", lambda value: 0 < value < inf)
COUNT: Rule = ("at least 1", lambda value: 1 <= value < LARGEST)
LENGTH: Rule = ("at least 1, or -1 for no limit", lambda value: value == -1 or 1 <= value < LARGEST)
BELOW_ONE: Rule = ("at least 0 and below 1", lambda value: 0 <= value < 1)
UP_TO_ONE: Rule = ("from 0 to 1", lambda value: 0 <= value <= 1)
BATCHES: Rule = (
    "a number of batches, at least 1, or a fraction above 0 and up to 1.0",
    lambda value: 0 < value <= 1 if isinstance(value, float) else 1 <= value < LARGEST,
)
BATCHES_OR_NONE: Rule = (f"0, or {BATCHES[0]}", lambda value: value == 0 or BATCHES[1](value))


def _rules(rule: Rule, names: str) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


OPTIONS: dict[str, Rule] = {
    "seed_everything": ("from 0 to 4294967295", lambda value: 0 <= value < 2**32),
    "save_every_n_steps": COUNT,
    **_rules(LENGTH, "trainer.max_epochs trainer.max_steps"),
    **_rules(NOT_NEGATIVE, "trainer.min_epochs trainer.min_steps trainer.gradient_clip_val trainer.log_every_n_steps"),
    **_rules(NOT_NEGATIVE, "trainer.fast_dev_run trainer.reload_dataloaders_every_n_epochs"),
    **_rules(COUNT, "trainer.check_val_every_n_epoch trainer.accumulate_grad_batches trainer.num_nodes"),
    **_rules(BATCHES, "trainer.limit_train_batches trainer.val_check_interval"),
    **_rules(BATCHES_OR_NONE, "trainer.limit_val_batches trainer.limit_test_batches trainer.limit_predict_batches"),
    **_rules(BATCHES_OR_NONE, "trainer.overfit_batches"),
    "trainer.num_sanity_val_steps": ("at least 0, or -1 for all", lambda value: value >= -1),
}
"""Rules of the options of a run and of the Trainer."""

SWITCHES = [
    f"trainer.{name}" for name, flag in signature(Trainer.__init__).parameters.items() if flag.annotation is bool
]
"""Options that jsonargparse also takes as null."""

ARGUMENTS = {
    **_rules(BELOW_ONE, "dropout input_dropout residual_dropout stochastic_depth"),
    **_rules(COUNT, "hidden width channels kernel_size heads num_layers num_blocks convolution members numbers_size"),
    **_rules(COUNT, "step_size T_max T_0 T_mult total_steps total_iters max_iter frequency"),
    **_rules(COUNT, "num_training_steps annealing_epochs steps_per_trial max_trials init_val"),
    "unfreeze_epoch": COUNT,
    "lr_decay_by_layer": ("above 0 and up to 1", lambda value: 0 < value <= 1),
    **_rules(POSITIVE, "numbers_sigma expansion div_factor final_div_factor"),
    **_rules(
        NOT_NEGATIVE,
        "pool_blocks one_hot pair_buckets mixup lr weight_decay momentum dampening eps alpha rho lr_decay gamma factor",
    ),
    **_rules(NOT_NEGATIVE, "min_lr max_lr base_lr eta_min swa_lrs start_factor end_factor milestones power warmup"),
    **_rules(NOT_NEGATIVE, "patience cooldown threshold refresh_rate"),
    **_rules(UP_TO_ONE, "betas decay label_smoothing pct_start"),
    **_rules(("above 0 and below 1", lambda value: 0 < value < 1), "interval quantile"),
    "image_size": NOT_NEGATIVE,
    "image_mean": UP_TO_ONE,
    "image_std": ("above 0 and up to 1", lambda value: 0 < value <= 1),
    "train_fraction": ("above 0 and up to 1", lambda value: 0 < value <= 1),
}
"""Rules of the arguments of classes of ours, torch and Lightning, by the arguments' names."""


def check_ranges(config: dict[str, Any]) -> None:
    """Checks every number of a configuration of ``fit``; classes of the user's packages check their own.

    Raises:
        ConfigError: For the first number that is out of its range, or not finite, for a Trainer whose settings are not
            given by their names, and for runs in a folder that is a URL.
    """
    if not isinstance(trainer := config.get("trainer", {}), dict) or (trainer and "num_nodes" not in trainer):
        raise ConfigError(f"trainer is {str(trainer)[:60]!r} in the configuration; write settings below it, one a line")
    settings = flat(config)
    if re.fullmatch("[0:]+", str(settings.get("trainer.max_time"))):
        raise ConfigError("--trainer.max_time is no time at all; give it as DD:HH:MM:SS, or leave it out")
    if "://" in (folder := str(settings.get("trainer.default_root_dir"))):  # Lightning takes fsspec's URLs
        raise ConfigError(
            f"--trainer.default_root_dir {folder[:80]} is a URL, and a run needs a folder with locks and atomic "
            "renames; name a folder of this machine, and copy the run there when it is finished"
        )
    for name in (name for name in SWITCHES if settings.get(name, False) is None):
        raise ConfigError(f"--{name} must be true or false, and it is null")
    for name, value in settings.items():
        text, accepts = OPTIONS.get(name) or _argument_rule(name, settings)
        for number in value if isinstance(value, list | tuple) else [value]:
            if isinstance(number, int | float) and not isinstance(number, bool) and not accepts(number):
                option = re.sub(r"\.\d+(?=\.)", "", name)  # without the position in a list
                raise ConfigError(f"--{option} must be {text}, and it is {str(number)[:40]}")


def _argument_rule(name: str, settings: dict[str, Any]) -> Rule:
    owner, _, argument = name.rpartition(".")
    while owner and f"{owner}.class_path" not in settings:
        owner = owner.rpartition(".")[0]
    is_known = not owner or is_below(str(settings[f"{owner}.class_path"]), ALLOWED)
    return ARGUMENTS.get(argument, FINITE) if is_known else ANY
