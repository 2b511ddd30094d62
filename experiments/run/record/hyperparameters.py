"""Hyperparameters of a run, flat, for its record and TensorBoard."""

from typing import Any

KEPT_OF_OPTIMIZER = ("lr", "weight_decay", "momentum", "betas")
LEFT_OUT = ("metrics",)
IN_TENSORBOARD = ("data", "data.batch_size", "data.normalize", "max_epochs", "model", "seed")
"""Together with the settings below ``model``, without the scheduler's: few enough for a table."""

Setting = str | int | float | bool


def flat_hyperparameters(config: dict[str, Any]) -> dict[str, Setting]:
    """Flattens a configuration to ``{"model": "LitCNN", "model.dropout": 0.1, "model.optimizer": "AdamW", ...}``.

    Classes lose their module. Settings of value None and an optimizer's technical ones are left out. Lists become
    text, since TensorBoard's HParams tab shows no lists.
    """
    return {"seed": config["seed_everything"]} | flat_settings(config)


def flat_settings(config: dict[str, Any]) -> dict[str, Setting]:
    """Flattens a possibly incomplete configuration, without the seed."""
    flat: dict[str, Any] = {}
    _flatten("max_epochs", config.get("trainer", {}).get("max_epochs"), flat)
    for part in ("data", "model"):
        _flatten(part, config.get(part), flat)
    return {name: value if isinstance(value, Setting) else str(value) for name, value in flat.items()}


def curated(flat: dict[str, Setting]) -> dict[str, Setting]:
    """Returns the hyperparameters that TensorBoard's HParams tab shows."""
    return {
        name: value
        for name, value in flat.items()
        if name in IN_TENSORBOARD or (name.startswith("model.") and not name.startswith("model.schedule.scheduler."))
    }


def _flatten(name: str, value: Any, flat: dict[str, Any]) -> None:
    if not isinstance(value, dict):
        if value is not None:
            flat[name] = value
        return
    if "class_path" in value:
        flat[name] = value["class_path"].rpartition(".")[2]
        value = value.get("init_args") or {}
    for key, inner in value.items():
        technical = name.endswith(".optimizer") and key not in KEPT_OF_OPTIMIZER
        if key not in LEFT_OUT and not technical:
            _flatten(f"{name}.{key}", inner, flat)
