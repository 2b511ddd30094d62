"""Hyperparameters of a run, flat: for its record, for TensorBoard, and for the comparison of runs. Imports no torch."""

from collections import Counter
from typing import Any

KEPT_OF_OPTIMIZER = ("lr", "weight_decay", "momentum", "betas")
"""Options of an optimizer that TensorBoard's HParams tab shows."""

IN_TENSORBOARD = ("data", "data.batch_size", "data.normalize", "max_epochs", "model", "seed")
"""Together with the settings below ``model``, without the scheduler's: few enough for a table."""

OUR_PACKAGES = ("torch.", "lightning.", "pytorch_lightning.", "torchmetrics.", "lit_models.", "datamodules.")
"""Packages in which a class's name alone identifies it."""

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
    settings = nullable_settings(config).items()
    return {name: value if isinstance(value, Setting) else str(value) for name, value in settings if value is not None}


def nullable_settings(config: dict[str, Any]) -> dict[str, Any]:
    """Flattens a possibly incomplete configuration, with the settings of value None and lists as they are."""
    flat: dict[str, Any] = {}
    trainer = dict(config.get("trainer") or {})
    if "max_epochs" in trainer:
        flat["max_epochs"] = trainer.pop("max_epochs")
    for name in ("data", "model"):
        if name in config:
            _flatten(name, config[name], flat)
    _flatten("trainer", trainer, flat)
    return flat


def curated(flat: dict[str, Setting]) -> dict[str, Setting]:
    """Returns the hyperparameters that TensorBoard's HParams tab shows."""
    return {
        name: value
        for name, value in flat.items()
        if name in IN_TENSORBOARD or _is_shown_of_model(name) or (name == "data.train_fraction" and value != 1)
    }


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
    else:
        flat[name] = value
