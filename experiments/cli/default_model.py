"""Chooses what ``evenhand fit`` trains if no model is typed, by modality and number of train rows."""

from pathlib import Path
from typing import Any

import yaml

from datamodules import DataModule
from datamodules.inspection.series_scales import scale_spread

CONFIGS = Path(__file__).parents[1] / "configs" / "defaults"
"""One file an architecture."""

ARCHITECTURES = {"table": "res_mlp", "image": "cnn", "series": "cnn", "text": "linear"}
"""File of the default architecture of each modality."""

SMALL = {"table": 500}
"""By modality: with fewer train rows it gets the linear model, which beats an MLP on such tables of docs/results.md."""

QUANTILE_NORMALIZED = ("table",)
"""Modalities that are quantile-normalized, as in Gorishniy et al. (2021): tables have long tails."""

STEPS = 3000
"""Optimizer steps of a run, within 20 to 300 epochs."""

FEW = 500
"""With fewer validation rows, metrics such as accuracy tie too often to choose an epoch."""


def choose(data: DataModule, class_path: str) -> tuple[dict[str, Any], str]:
    """Chooses architecture, batch size, number of epochs and early stopping for a data set of a class as typed.

    The batch size is the power of two, 16 to 256, that splits the train rows into about forty batches. Training stops
    early after three tenths of the epochs without a better validation loss; without validation rows it runs to the end.

    Returns:
        A configuration, to put below everything that is typed, and a sentence for the user.
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
        best = {"filename": "best", "enable_version_counter": False}
        callbacks.append(_callback("ModelCheckpoint", monitor="val/loss", **best))
    config["trainer"] = {"max_epochs": epochs, "callbacks": callbacks}
    # Without the class, the typed one would replace it and drop its arguments.
    settings: dict[str, Any] = {"batch_size": batch_size}
    if quantile := data.modality in QUANTILE_NORMALIZED and not small:
        settings["normalize"] = "quantile"
    spread = scale_spread(data)
    if each_series := spread is not None and spread.is_huge:
        settings["normalize"] = "series"
    config["data"] = {"class_path": class_path, "init_args": settings}
    stop = f"at most {epochs} epochs, stopped after {patience} without a lower val/loss"
    return config, (
        f"no --model was typed: {config['model']['class_path']} for {data.modality} rows, of which {rows['train']:,} "
        f"are trained on{', numbers quantile-normalized' if quantile else ''}"
        f"{', each normalized by itself since their scales differ widely' if each_series else ''}, "
        f"batches of {batch_size}, "
        f"{stop if data.has_val else f'{epochs} epochs'}"
    )


def _callback(name: str, **arguments: Any) -> dict[str, Any]:
    return {"class_path": name, "init_args": arguments}
