"""Literal types of data sets that options, models and checkpoints share."""

from typing import Literal

TaskName = Literal["binary", "multiclass", "multilabel", "regression"]
Modality = Literal["table", "series", "image", "text"]
Sampler = Literal["shuffle", "balanced"]
