"""Data of a benchmark's shapes, and a callback that writes down how fast each epoch was."""

import json
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback

from datamodules import InMemoryData, Rows


class Pictures(InMemoryData):
    """8,000 grey images of 28 x 28 in ten classes."""

    task, modality, input_shape, num_outputs = "multiclass", "image", (1, 28, 28), 10

    def load(self) -> Rows:
        return Rows(torch.randn(8000, *self.input_shape), torch.arange(8000) % self.num_outputs)


class Waves(Pictures):
    """2,000 series of 64 steps and 16 channels in ten classes."""

    modality, input_shape = "series", (16, 64)

    def load(self) -> Rows:
        return Rows(torch.randn(2000, *self.input_shape), torch.arange(2000) % self.num_outputs)


class Speeds(Callback):
    """Writes rows per second of each epoch's training into ``speeds.json``."""

    def __init__(self) -> None:
        self.speeds: list[float] = []
        self._rows, self._began = 0, 0.0

    def on_train_epoch_start(self, *_: Any) -> None:
        self._rows, self._began = 0, time.perf_counter()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, *_: Any) -> None:
        self._rows += len(batch["y"]) * trainer.world_size
        if trainer.is_last_batch:
            self.speeds.append(self._rows / (time.perf_counter() - self._began))

    def on_train_end(self, trainer: Any, *_: Any) -> None:
        if trainer.is_global_zero:
            Path("speeds.json").write_text(json.dumps(self.speeds))
