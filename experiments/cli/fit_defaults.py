"""Settings of ``evenhand fit`` that are not typed: the same for every architecture, by the data alone."""

from collections.abc import Iterator
from inspect import signature
from math import prod
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace

from datamodules import DataModule, LightningData
from datamodules.inspection.series_scales import scale_spread
from experiments.cli.arguments import Words
from experiments.cli.class_settings import settings_of
from experiments.cli.typed_settings import added_callbacks, typed, typed_names
from experiments.internals.jsonargparse_private import import_object

CONFIGS = Path(__file__).parents[1] / "configs" / "defaults"
"""One file an architecture."""

FILES = {
    "LitCNN": "cnn",
    "LitLightningModule": "lightning_module",
    "LitLinear": "linear",
    "LitMLP": "mlp",
    "LitModule": "module",
    "LitRNN": "lstm",
    "LitResCNN": "res_cnn",
    "LitResMLP": "res_mlp",
    "LitTabM": "tabm",
    "LitTransformer": "transformer",
}
"""File of each class of ``lit_models``; one with the modality behind the name comes before it, see ``_file``."""

ARCHITECTURES = {"table": "LitResMLP", "image": "LitCNN", "series": "LitCNN", "text": "LitLinear"}
"""Default architecture of each modality."""

SMALL = {"table": 500}
"""By modality: with fewer train rows it gets the linear model, which beats an MLP on such tables of docs/results.md."""

LARGE = {"table": (2000, "LitTabM")}
"""By modality: from so many train rows on it gets this architecture, which is behind no other on such tables."""

WIDE = 100
"""Inputs of a row beyond which a large table's architecture, whose numbers are embedded, would take too long."""

FEW_TOKENS = 50
"""With fewer different tokens, a text's meaning is in their order, which the linear model does not see."""

QUANTILE_NORMALIZED = ("table",)
"""Modalities that are quantile-normalized, as in Gorishniy et al. (2021): tables have long tails."""

RATE = "model.optimizer.lr"
"""A typed rate, or one that is searched, is that of every step, unless a schedule is typed too."""

STEPS = 3000
"""Optimizer steps of a run, within 20 to 300 epochs."""

POSITIONS = 15_000_000
"""Pixels of all images, or steps of all series, that a run trains on, within 20 to 300 epochs."""

BUCKETS_PER_PAIR = 4
"""At most so many embeddings for each pair of neighbouring tokens of the train rows: more only make files larger."""

FEW = 500
"""With fewer validation rows, metrics such as accuracy tie too often to choose an epoch."""


def choose(data: DataModule, config: Namespace, words: Words, model_typed: bool) -> tuple[dict[str, Any], str]:
    """Chooses what the words of ``fit`` leave open: architecture, optimizer, batch size, epochs and early stopping.

    The batch size is the power of two, 16 to 256, that splits the train rows into about forty batches. Training stops
    early after three tenths of the epochs without a better validation loss; without validation rows it runs to the end.

    Args:
        data: The data set of the words.
        config: What the words alone are parsed to.
        words: The words of ``fit``.
        model_typed: Whether they name a model.

    Returns:
        A configuration, to put below everything that is typed, and a sentence about what is not typed.
    """
    rows, names = data.part_rows(), typed_names(words)
    if "LearningRateFinder" in f"{added_callbacks(words)} {typed(words, 'trainer', 'callbacks')}":
        names = names | {RATE}
    if "schedulefree." in str(typed(words, "model", "optimizer")):
        names = names | {"model.schedule"}  # which such an optimizer replaces
    batch_size, epochs = size_and_epochs(rows["train"], data)
    patience = max(5, round(0.3 * epochs))
    small = rows["train"] < SMALL.get(data.modality, 0)
    normalize, normalization = _normalization(data, small)
    chosen = "LitLinear" if small else _architecture(rows["train"], data)
    callbacks = [*_callbacks(patience, rows["val"], added_callbacks(words))]
    if not validates(data, config.trainer) or "trainer.callbacks" in names:
        callbacks = []
    stops = any(one["class_path"] == "EarlyStopping" for one in callbacks)
    if "trainer.max_steps" in names:
        epochs = -1
    settings = {"batch_size": batch_size, **({"normalize": normalize} if normalize else {})}
    has_own = isinstance(data, LightningData)  # batches and normalization, as its loaders make them
    settings = {} if has_own else _inherited(config.data.class_path, settings)
    below = {
        "trainer": {"max_epochs": epochs, "callbacks": callbacks or None},
        "model": _model(config.model.class_path if model_typed else f"lit_models.{chosen}", data, names),
        # Without the class, the typed one would replace it and drop its arguments.
        "data": {"class_path": config.data.class_path, "init_args": settings},
    }
    sentences = {
        "data.normalize": normalization if "normalize" in settings else "",
        "data.batch_size": f"batches of {batch_size}" if "batch_size" in settings else "",
        "trainer.max_epochs": "" if epochs < 0 else f"at most {epochs} epochs" if stops else f"{epochs} epochs",
        "trainer.callbacks": f"stopped after {patience} epochs without a lower val/loss" if stops else "",
    }
    left = ", ".join(text for name, text in sentences.items() if text and name not in names)
    of_rows = f"for {rows['train']:,} train rows ({data.modality})"
    model = "" if model_typed else f"no --model was typed: {chosen} {of_rows}"
    return below, f"{model}, {left}" if model and left else model or (left and f"chosen {of_rows}: {left}")


def _architecture(train_rows: int, data: DataModule) -> str:
    """Returns the architecture for data that are not small."""
    if (large := LARGE.get(data.modality)) and train_rows >= large[0] and prod(data.input_shape) <= WIDE:
        return large[1]
    if 0 < data.vocab_size < FEW_TOKENS:
        return "LitTransformer"
    return ARCHITECTURES.get(data.modality, "LitLinear")


def size_and_epochs(train_rows: int, data: DataModule) -> tuple[int, int]:
    """Returns the batch size and the number of epochs for a number of train rows."""
    batch_size = min(256, max(16, 2 ** round(train_rows / 40).bit_length() // 2))
    positions = prod(data.input_shape[1:])  # 1 for rows of columns, and for texts
    epochs = min(STEPS * batch_size, POSITIONS // positions) / max(1, train_rows)
    return batch_size, min(300, max(20, round(epochs)))


def validates(data: DataModule, trainer: Namespace) -> bool:
    """Returns True if a run validates, and keeps checkpoints."""
    off = trainer.barebones or trainer.enable_checkpointing is False or trainer.limit_val_batches == 0
    return data.has_val and not off


def _normalization(data: DataModule, small: bool) -> tuple[str, str]:
    """Returns the normalization in place of the data's own default, and words about it; both empty for none."""
    spread = scale_spread(data)
    if spread is not None and spread.is_huge:
        return "series", "each normalized by itself since their scales differ widely"
    if data.modality in QUANTILE_NORMALIZED and not small:
        return "quantile", "numbers quantile-normalized"
    return "", ""


def _file(class_path: str, modality: str) -> Path:
    """Returns the file of an architecture, ``cnn_image.yaml`` before ``cnn.yaml`` for images."""
    name = FILES.get(class_path.rpartition(".")[2], "other") if class_path.startswith("lit_models.") else "other"
    of_modality = CONFIGS / f"{name}_{modality}.yaml"
    return of_modality if of_modality.exists() else CONFIGS / f"{name}.yaml"


def _model(class_path: str, data: DataModule, names: set[str]) -> dict[str, Any]:
    """Returns the settings of an architecture: those of its file, or the optimizer and the schedule of one's own."""
    config: dict[str, Any] = yaml.safe_load(_file(class_path, data.modality).read_text())["model"]
    settings = _inherited(class_path, config["init_args"])
    if "pair_buckets" in settings:
        pairs = data.part_rows()["train"] * prod(data.input_shape)
        settings["pair_buckets"] = min(settings["pair_buckets"], 2 ** (BUCKETS_PER_PAIR * pairs - 1).bit_length())
    if names & {"model.schedule", "model.schedule.scheduler", RATE}:
        settings.pop("schedule", None)
    return {"class_path": class_path, "init_args": settings}


def _inherited(class_path: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings that a class of one's own leaves to its base class; of another class all."""
    if class_path.startswith(("lit_models.", "datamodules.")):
        return settings
    options, own = settings_of(class_path), signature(import_object(class_path)).parameters
    return {name: value for name, value in settings.items() if name in options and name not in own}


def _callbacks(patience: int, val_rows: int, added: str) -> Iterator[dict[str, Any]]:
    """Yields the callbacks whose classes are not among the added ones: of these a run has its own alone."""
    if "EarlyStopping" not in added:
        yield {"class_path": "EarlyStopping", "init_args": {"monitor": "val/loss", "patience": patience}}
    if val_rows < FEW and "ModelCheckpoint" not in added:
        best = {"monitor": "val/loss", "filename": "best", "enable_version_counter": False}
        yield {"class_path": "ModelCheckpoint", "init_args": best}
