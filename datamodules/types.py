"""Literal types of data sets that options, models and checkpoints share."""

from typing import Literal

TaskName = Literal["binary", "multiclass", "multilabel", "regression"]
Modality = str  # table, series, image or text; another one has a line in ``lit_models.stems`` too
Sampler = Literal["shuffle", "balanced"]
