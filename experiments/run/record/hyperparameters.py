"""Hyperparameters of a run, flat: for its record, for TensorBoard, and for the comparison of runs. Imports no torch."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

KEPT_OF_OPTIMIZER = ("lr", "weight_decay", "momentum", "betas")
"""Options of an optimizer that TensorBoard's HParams tab shows."""

IN_TENSORBOARD = ("data", "data.batch_size", "data.normalize", "max_epochs", "model", "seed")
"""Together with the settings below ``model``, without the scheduler's: few enough for a table."""

REPEATS = ("seed", "data.split_seed", "data.fold")
"""Options in which repetitions of a run differ."""

CALLBACKS = "trainer.callbacks"

WITHOUT_EFFECT = (
    *("trainer.default_root_dir", "trainer.logger", "trainer.log_every_n_steps", "trainer.profiler"),
    *("trainer.enable_progress_bar", "trainer.enable_model_summary", "trainer.limit_predict_batches"),
    *("trainer.enable_autolog_hparams", "trainer.model_registry"),
    *("data.path", "data.val_path", "data.test_path"),  # the fingerprints cover the rows
    *("data.device", "model.steps_per_execution"),  # speed alone, the same bits
    CALLBACKS,  # the list of classes; each one has options of its own
    *(f"{CALLBACKS}.{name}" for name in ("DeviceStatsMonitor", "LearningRateMonitor", "ModelSummary")),
    *(f"{CALLBACKS}.{name}" for name in ("RichModelSummary", "RichProgressBar", "TQDMProgressBar")),
    *(f"{CALLBACKS}.{name}.verbose" for name in ("EarlyStopping", "ModelCheckpoint")),
    f"{CALLBACKS}.ModelCheckpoint.dirpath",
)
"""Options that cannot change a metric of a run, with all options below them.

``model.metrics`` is another one, unless a callback or a schedule monitors the metric.
"""

OUR_PACKAGES = ("torch.", "lightning.", "pytorch_lightning.", "torchmetrics.", "lit_models.", "datamodules.")
"""Packages in which a class's name alone identifies it."""

_BELOW = tuple(f"{name}." for name in WITHOUT_EFFECT if name != CALLBACKS)
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])")

Setting = str | int | float | bool


def flat_hyperparameters(config: dict[str, Any]) -> dict[str, Setting]:
    """Flattens a configuration to ``{"model": "LitCNN", "model.dropout": 0.1, "trainer.min_epochs": 3, ...}``.

    Classes lose their module; of a class outside of ``OUR_PACKAGES``, ``.class_path`` has it. Settings of value None
    are left out. Lists become text, since TensorBoard's HParams tab shows none, and callbacks become
    ``trainer.callbacks.EarlyStopping.patience``, whatever their order.
    """
    return {"seed": config["seed_everything"]} | flat_settings(config)


def flat_settings(config: dict[str, Any]) -> dict[str, Setting]:
    """Flattens a possibly incomplete configuration, without the seed."""
    flat: dict[str, Any] = {}
    trainer = dict(config.get("trainer") or {})
    _flatten("max_epochs", trainer.pop("max_epochs", None), flat)
    for part, value in (("data", config.get("data")), ("model", config.get("model")), ("trainer", trainer)):
        _flatten(part, value, flat)
    return {name: value if isinstance(value, Setting) else str(value) for name, value in flat.items()}


def curated(flat: dict[str, Setting]) -> dict[str, Setting]:
    """Returns the hyperparameters that TensorBoard's HParams tab shows."""
    return {name: value for name, value in flat.items() if name in IN_TENSORBOARD or _is_shown_of_model(name)}


def effective(flat: Mapping[str, Setting]) -> dict[str, str]:
    """Returns the options that may change a metric, the seeds excluded, each value in one spelling."""
    monitored = {str(value).partition("/")[2] for name, value in flat.items() if name.endswith(".monitor")}
    return {
        name: spelled(name, value)
        for name, value in flat.items()
        if name not in REPEATS
        and name not in WITHOUT_EFFECT
        and not name.startswith(_BELOW)
        and (not name.startswith("model.metrics.") or name.split(".")[2] in monitored)
    }


def spelled(name: str, value: Setting | None) -> str:
    """Returns the one spelling of a value, the same for 1 and 1.0, for 0.001 and the text 1e-3.

    Texts of the data, such as the names of columns, stay as they are.
    """
    if isinstance(value, str):
        is_number = _NUMBER.fullmatch(value) and not name.startswith("data.")
        is_list = value.startswith(("[", "(", "{")) and "'" not in value
        return _NUMBER.sub(lambda match: repr(float(match[0])), value) if is_number or is_list else value
    if isinstance(value, bool) or value is None or abs(value) >= 2**53:
        return str(value)
    return repr(float(value))


def _is_shown_of_model(name: str) -> bool:
    owner, _, option = name.rpartition(".")
    technical = owner.endswith(".optimizer") and option not in KEPT_OF_OPTIMIZER
    hidden = name.startswith(("model.schedule.scheduler.", "model.metrics")) or option == "class_path"
    return name.startswith("model.") and not technical and not hidden


def _flatten(name: str, value: Any, flat: dict[str, Any]) -> None:
    if isinstance(value, list) and any(isinstance(item, dict) and "class_path" in item for item in value):
        classes = [str(item["class_path"] if isinstance(item, dict) else item).rpartition(".")[2] for item in value]
        flat[name] = ", ".join(classes)
        counts: Counter[str] = Counter()
        for of_class, item in zip(classes, value, strict=True):
            counts[of_class] += 1
            _flatten(f"{name}.{of_class}" + (f".{counts[of_class]}" if counts[of_class] > 1 else ""), item, flat)
    elif isinstance(value, dict):
        if "class_path" in value:
            path = str(value["class_path"])
            flat[name] = path.rpartition(".")[2]
            if not path.startswith(OUR_PACKAGES) and "." in path:
                flat[f"{name}.class_path"] = path
            value = {**(value.get("init_args") or {}), **(value.get("dict_kwargs") or {})}
        for key, inner in value.items():
            _flatten(f"{name}.{key}", inner, flat)
    elif value is not None:
        flat[name] = value
