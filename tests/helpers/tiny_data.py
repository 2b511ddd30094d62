"""Data from tensors, a model for them, and a Trainer that saves nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import polars
from hypothesis import settings
from lightning.pytorch import Trainer
from torch import Tensor

from datamodules import InMemoryData, Rows
from lit_models import LitLinear, LitModel

QUICK = settings(deadline=None, derandomize=True, max_examples=40)
"""Repeats its examples in every run, however slow the machine."""

PLAIN = ("--trainer.callbacks", "null", "--model.schedule", "null")
"""A fit at a constant rate to its last epoch, for tests of what a fit does with what is typed."""

DIMS_TO_MODALITY = {2: "table", 3: "series", 4: "image"}


def small_data(
    x: Tensor, y: Tensor, task: str = "multiclass", test: Tensor | None = None, **kwargs: Any
) -> InMemoryData:
    """Creates a data module of these rows, and infers its metadata from them."""

    class SmallData(InMemoryData):
        def load(self) -> Rows:
            return Rows(x, y, test)

    data = SmallData(**{"duplicates": "ignore"} | kwargs)  # zeros stand for any rows here
    data.task, data.modality, data.input_shape = task, DIMS_TO_MODALITY[x.dim()], tuple(x.shape[1:])
    data.num_outputs = int(y.max()) + 1 if task == "multiclass" else y[0].numel()
    return data


def model_for(data: InMemoryData, architecture: type[LitModel] = LitLinear, **kwargs: Any) -> LitModel:
    """Creates a model for the data's metadata."""
    metadata = {name: getattr(data, name) for name in ("task", "modality", "input_shape", "num_outputs")}
    return architecture(**metadata, **kwargs)


def quiet_trainer(**kwargs: Any) -> Trainer:
    """Creates a Trainer on CPU that by default prints, logs and saves nothing."""
    switches = ("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing")
    return Trainer(accelerator="cpu", num_sanity_val_steps=0, **(dict.fromkeys(switches, False) | kwargs))


def writer(folder: Path, usual: str) -> Callable[..., str]:
    """Returns a function that writes arrays as .npz, a frame as CSV or Parquet, text or bytes, and returns the path."""

    def write(content: dict[str, Any] | polars.DataFrame | str | bytes, name: str = usual) -> str:
        path = folder / name
        if isinstance(content, dict):
            numpy.savez(path, **content)
        elif isinstance(content, polars.DataFrame):
            content.write_parquet(path) if name.endswith("parquet") else content.write_csv(path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write
