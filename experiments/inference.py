"""A trained run in Python: ``load("runs/...").predict(rows)``, from its checkpoint alone."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal, TypeVar

import polars
import torch
import yaml
from jsonargparse._util import import_object
from torch import Tensor

from datamodules import DataError
from datamodules.inputs import Chunk, Inputs
from datamodules.loaders import TensorLoader
from datamodules.restore import restore_inputs
from experiments import trust
from experiments.run.checkpoint_io import read
from experiments.run.checkpoints import CONFIG, checkpoint_of
from experiments.run.predictions import answers
from lit_models import ConfigError, LitModel

Device = Literal["auto", "cpu", "cuda"]
T = TypeVar("T")

OF_TRAINING = ("loss", "class_weights", "optimizer", "schedule", "metrics")
"""What a model is told that makes no difference to its predictions."""

VALUES = 2**20
"""Numbers of a batch at most, as in evaluation; rows are at most 1,024."""


@dataclass
class Predicted:
    """Predictions of some rows.

    Args:
        rows: Ids and predictions.
        bad: Ids of the rows that cannot be predicted, and a ``reason`` for each.
        counts: What of the rows is worth knowing, and how many of them it is said of.
        notes: Sentences about the whole source.
        done: Share of the source that has been read, in [0, 1].
    """

    rows: polars.DataFrame
    bad: polars.DataFrame
    counts: Counter[str]
    notes: tuple[str, ...]
    done: float


class Predictor:
    """A trained model, and what turns raw rows into its inputs.

    Args:
        model: With its weights.
        inputs: What the data module of its training had.
        class_names: Of the classes or labels; numbers where there are none.
        target_names: Of the targets, in the order of the model's outputs.
        device: Where to predict.
    """

    def __init__(
        self,
        model: LitModel,
        inputs: Inputs,
        class_names: tuple[str, ...] = (),
        target_names: tuple[str, ...] = (),
        device: torch.device | None = None,
    ) -> None:
        self.device = device or torch.device("cpu")
        self.model = model.eval().requires_grad_(False).to(self.device)
        self.inputs = inputs
        self.class_names, self.target_names = class_names, target_names

    def predict(self, source: Any) -> polars.DataFrame:
        """Predictions, one row for each row of the source, in its order.

        Args:
            source: A frame of polars or pandas, or a dictionary of columns, for tables, texts, series in long form and
                paths of images; an array for images, series and rows of numbers; texts, arrays or paths of images in a
                list; or the path of a file or folder that ``evenhand predict --input`` takes.

        Returns:
            ``row``, counted from 0; the predicted class as ``prediction`` and each one's probability as
            ``probability_<class>``; for labels 0 or 1 as ``prediction_<label>`` besides their probabilities; for
            regression the values, in the target's units, as ``prediction``, or ``prediction_<target>`` of several.

        Raises:
            DataError: For a source that does not fit, or with the first row that cannot be predicted.
        """
        frames = []
        for predicted in self.chunks(source):
            if len(predicted.bad):
                row, reason = predicted.bad.select("row", "reason").row(0)
                raise DataError(f"row {row} cannot be predicted: {reason}")
            frames.append(predicted.rows)
        if not frames:
            raise DataError("there is no row to predict")
        return polars.concat(frames)

    def chunks(self, source: Any) -> Iterator[Predicted]:
        """The same a part at a time, for sources larger than memory, bad rows with their reasons.

        Raises:
            DataError: For a source that does not fit.
        """
        for chunk in _ahead(self.inputs.chunks(source)):
            prediction = answers(self.model.task.name, self._predict(chunk), self.class_names, self.target_names)
            rows = chunk.ids.hstack(prediction)
            yield Predicted(rows, chunk.bad, Counter(chunk.counts), chunk.notes, chunk.done)

    @torch.inference_mode()
    def _predict(self, chunk: Chunk) -> Tensor:
        """What the task predicts (N, ...), float64."""
        size = max(1, min(1024, VALUES // max(1, prod(self.model.input_shape))))
        outputs = [torch.empty(0, self.model.num_outputs, device=self.device)]
        for batch in TensorLoader(chunk.tensors, size) if len(chunk.ids) else ():
            there = {name: column.to(self.device) for name, column in batch.items()}
            outputs.append(self.model(there["x"], there.get("categories"), there.get("lengths")).float())
        return self.model.task.predict(torch.cat(outputs)).cpu()


def _ahead(values: Iterator[T]) -> Iterator[T]:
    """The same values, the next one already being made, in another thread, while one is worked with."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, values, None)
        while (value := following.result()) is not None:
            following = pool.submit(next, values, None)
            yield value


def load(path: str | Path, device: Device = "auto", packages: list[str] | None = None) -> Predictor:
    """A run, from its best checkpoint.

    Args:
        path: The run's folder, or one of its checkpoints; nothing else of the run is read.
        device: Where to predict; a CUDA device where there is one, if it is auto.
        packages: Packages of one's own that the run names classes of, and that are to be trusted.

    Raises:
        ConfigError: For a path that is none of these, or a checkpoint of something else.
        DataError: Where the checkpoint does not say what its inputs look like.
    """
    trust.allow(packages or [])
    file = checkpoint_of(path)
    checkpoint = read(file)
    try:
        config = yaml.safe_load(checkpoint[CONFIG])
        name = config["data"]["class_path"].rpartition(".")[2]
        state = checkpoint[name]
        model = _model(config["model"]["class_path"], checkpoint)
        classes, targets = tuple(state.get("class_names", ())), tuple(state.get("target_names", ()))
        return Predictor(model, restore_inputs(state), classes, targets, _device(device))
    except (ConfigError, DataError):
        raise
    except Exception as error:  # what another program wrote is wrong in every way there is
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        lacking = "it has no " if isinstance(error, KeyError) else ""
        raise ConfigError(f"{file} cannot be predicted with, {lacking}{reason}; name a checkpoint of a run") from error


def _model(class_path: str, checkpoint: dict[str, Any]) -> LitModel:
    made = import_object(class_path)  # refuses what is not allowed
    if not (isinstance(made, type) and issubclass(made, LitModel)):
        raise ConfigError(f"{class_path} is no model")
    settings = {name: value for name, value in checkpoint["hyper_parameters"].items() if not name.startswith("_")}
    model = made(**{name: value for name, value in settings.items() if name not in OF_TRAINING})
    weights = {name: value for name, value in checkpoint["state_dict"].items() if not name.startswith("loss.")}
    model.load_state_dict(weights)
    return model


def _device(name: Device) -> torch.device:
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"the device is auto, cpu or cuda, and not {name!r}")
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise ConfigError("there is no CUDA device here; leave --device out")
    return torch.device("cuda" if there and name != "cpu" else "cpu")
