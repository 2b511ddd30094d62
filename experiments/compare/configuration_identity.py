"""Identity of a run among others: the options that may change a metric, each in one spelling. Imports no torch."""

import re
from collections.abc import Mapping
from functools import cache, lru_cache

from experiments.run.record.hyperparameters import Setting

CALLBACKS = "trainer.callbacks"

REPEATS = ("seed", "data.split_seed", "data.fold")
"""Options in which repetitions of a run differ."""

_FOLDER = "the place of files, not their content"
_DISPLAY = "prints or logs, and computes nothing that training reads"
_ROWS = "the fingerprints cover the rows, wherever they are"
_SPEED = "speed alone, the same bits"
WITHOUT_EFFECT = {
    "trainer.default_root_dir": _FOLDER,
    "trainer.logger": _DISPLAY,
    "trainer.log_every_n_steps": _DISPLAY,
    "trainer.profiler": _DISPLAY,
    "trainer.enable_progress_bar": _DISPLAY,
    "trainer.enable_model_summary": _DISPLAY,
    "trainer.limit_predict_batches": "fit and test predict with no loader of predict",
    "trainer.enable_autolog_hparams": _DISPLAY,
    "trainer.model_registry": "uploads checkpoints after they are saved",
    "data.path": _ROWS,
    "data.val_path": _ROWS,
    "data.test_path": _ROWS,
    "data.id": "names rows; the fingerprints cover the inputs that are left, and the series that it makes of a table",
    "data.device": _SPEED,
    "model.steps_per_execution": _SPEED,
    f"{CALLBACKS}.DeviceStatsMonitor": _DISPLAY,
    f"{CALLBACKS}.LearningRateMonitor": _DISPLAY,
    f"{CALLBACKS}.ModelSummary": _DISPLAY,
    f"{CALLBACKS}.RichModelSummary": _DISPLAY,
    f"{CALLBACKS}.RichProgressBar": _DISPLAY,
    f"{CALLBACKS}.TQDMProgressBar": _DISPLAY,
    f"{CALLBACKS}.EarlyStopping.verbose": _DISPLAY,
    f"{CALLBACKS}.ModelCheckpoint.verbose": _DISPLAY,
    f"{CALLBACKS}.ModelCheckpoint.dirpath": _FOLDER,
}
"""Options that cannot change a metric of a run, with all options below them, and the reasons.

``model.metrics`` is another one, unless a callback or a schedule monitors the metric.
"""

COUNT_OR_FRACTION = (
    *("trainer.limit_train_batches", "trainer.limit_val_batches", "trainer.limit_test_batches"),
    *("trainer.overfit_batches", "trainer.val_check_interval"),
    f"{CALLBACKS}.StochasticWeightAveraging.swa_epoch_start",
)
"""Options in which 1 is a single one and 1.0 is all."""

_BELOW = tuple(f"{name}." for name in WITHOUT_EFFECT)
_BESIDE_NAME = re.compile(r"^until step \d+\.|(?<=\w)\.\d+(?=\.|$)")
"""The step of a change at a resume, and the index of a second callback of one class."""
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])")


def effective(settings: Mapping[str, Setting]) -> dict[str, str]:
    """Returns the options that may change a metric, the seeds excluded, each value in one spelling."""
    readers = (CALLBACKS, "model.schedule")
    monitored = {str(value).partition("/")[2] for name, value in settings.items() if name.startswith(readers)}
    foreign = tuple(
        name.removesuffix(".class_path")
        for name in settings
        if name.startswith(CALLBACKS) and name.endswith(".class_path")
    )
    return {
        name: spelled(name, value)
        for name, value in settings.items()
        if name not in (*REPEATS, CALLBACKS)  # each class of the list of callbacks is an option of its own
        and (name.startswith(foreign) or has_effect(name))
        and (not name.startswith("model.metrics.") or name.split(".")[2] in monitored)
    }


@cache
def has_effect(name: str) -> bool:
    """Returns True unless the option, or one above it, is in ``WITHOUT_EFFECT``."""
    return not f"{_BESIDE_NAME.sub('', name)}.".startswith(_BELOW)


@lru_cache(maxsize=None, typed=True)
def spelled(name: str, value: Setting | None) -> str:
    """Returns the one spelling of a value, the same for 2 and 2.0, for 0.001 and the text 1e-3.

    Texts of the data, such as the names of columns, stay as they are.
    """
    if isinstance(value, str):
        is_number = _NUMBER.fullmatch(value) and not name.startswith("data.")
        is_list = value.startswith(("[", "(", "{")) and "'" not in value
        return _NUMBER.sub(_decimal, value) if is_number or is_list else value
    if isinstance(value, bool) or value is None or abs(value) >= 2**53 or (value == 1 and name in COUNT_OR_FRACTION):
        return str(value)
    return repr(float(value))


def _decimal(number: re.Match[str]) -> str:
    is_long = number[0].lstrip("+-").isdecimal() and abs(float(number[0])) >= 2**53  # a float would lose digits
    return number[0] if is_long else repr(float(number[0]))
