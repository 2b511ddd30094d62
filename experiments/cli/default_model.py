"""What ``evenhand fit`` runs where no model is typed: chosen by what a row is and how many there are to train on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from datamodules import DataModule

CONFIGS = Path(__file__).parents[1] / "configs" / "defaults"
"""One file an architecture; the README's table says how they do on each other's data."""

ARCHITECTURES = {"table": "res_mlp", "image": "cnn", "series": "cnn", "text": "linear"}
"""For each modality the file of the architecture that is chosen."""

SMALL = {"table": 500}
"""By modality: with fewer train rows it gets the linear model, which is ahead of an MLP in the README's table."""

BY_QUANTILE = ("table",)
"""Modalities that are quantile-normalized, as Gorishniy et al. (2021) do: tables have long tails."""

STEPS = 3000
"""Optimizer steps that a run aims at, within 20 to 300 epochs."""

FEW = 500
"""Below so many validation rows, metrics such as accuracy tie too often to choose an epoch."""


@dataclass(frozen=True)
class Defaults:
    """The settings that stand under everything that was typed.

    Args:
        config: As a configuration file has them.
        sentence: What was chosen, and for what.
    """

    config: dict[str, Any]
    sentence: str


def choose(data: DataModule, class_path: str) -> Defaults:
    """Architecture, batch size, length and early stopping for a data set.

    The batch size is the power of two, 16 to 256, that makes about forty batches of the train rows. Training stops
    early when the validation loss was not better for three tenths of the epochs; without validation rows it runs to
    its end.

    Args:
        data: The data module.
        class_path: The name that it was made by.
    """
    rows = data.part_rows()
    batch_size = min(256, max(16, 2 ** round(rows["train"] / 40).bit_length() // 2))
    epochs = min(300, max(20, round(STEPS * batch_size / max(1, rows["train"]))))
    patience = max(5, round(0.3 * epochs))
    small = rows["train"] < SMALL.get(data.modality, 0)
    architecture = "linear" if small else ARCHITECTURES.get(data.modality, "linear")
    config: dict[str, Any] = yaml.safe_load((CONFIGS / f"{architecture}.yaml").read_text())
    callbacks = [_callback("EarlyStopping", monitor="val/loss", patience=patience)] if data.has_val else []
    if data.has_val and rows["val"] < FEW:
        callbacks.append(
            _callback("ModelCheckpoint", monitor="val/loss", filename="best", enable_version_counter=False)
        )
    config["trainer"] = {"max_epochs": epochs, "callbacks": callbacks}
    # A class that another one replaces loses its arguments, so it is named.
    settings: dict[str, Any] = {"batch_size": batch_size}
    if by_quantile := data.modality in BY_QUANTILE and not small:
        settings["normalize"] = "quantile"
    config["data"] = {"class_path": class_path, "init_args": settings}
    sentence = (
        f"no --model was typed: {config['model']['class_path']} for {data.modality} rows, of which {rows['train']:,} "
        f"are trained on{', numbers by quantile' if by_quantile else ''}, batches of {batch_size}, "
    )
    if data.has_val:
        sentence += f"at most {epochs} epochs, stopped after {patience} without a lower val/loss"
    else:
        sentence += f"{epochs} epochs"
    return Defaults(config, sentence)


def _callback(name: str, **arguments: Any) -> dict[str, Any]:
    return {"class_path": name, "init_args": arguments}
