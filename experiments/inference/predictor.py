"""A trained run in Python: ``load("runs/...").predict(rows)``, from its checkpoint alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from torch import Tensor

from datamodules import DataError
from datamodules.loading.evaluation_batch_size import rows_at_once
from datamodules.loading.tensor_loader import TensorLoader
from datamodules.preprocessing.inputs import Chunk, Inputs
from datamodules.preprocessing.restore_inputs import restore_inputs
from experiments import import_allowlist
from experiments.inference.base import Answering
from experiments.internals.jsonargparse_private import import_object
from experiments.run.checkpoints.best_checkpoint import CONFIG, checkpoint_of
from experiments.run.checkpoints.checkpoint_io import read
from experiments.run.precision import disable_tf32
from lit_models import ConfigError, LitModel

Device = Literal["auto", "cpu", "cuda"]

OF_TRAINING = ("loss", "class_weights", "optimizer", "schedule", "metrics")
"""What a model is told that makes no difference to its predictions."""


class Predictor(Answering):
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
        super().__init__(model.task.name, inputs, class_names, target_names)
        self.device = device or torch.device("cpu")
        self.model = model.eval().requires_grad_(False).to(self.device)

    @torch.inference_mode()
    def compute(self, chunk: Chunk) -> Tensor:
        """What the task predicts of the rows that can be predicted (N, ...), float64."""
        size = rows_at_once(self.model.input_shape, self.model.modality, self.device)
        outputs = [torch.empty(0, self.model.num_outputs, device=self.device)]
        for batch in TensorLoader(chunk.tensors, size) if len(chunk.ids) else ():
            there = {name: column.to(self.device) for name, column in batch.items()}
            outputs.append(self.model(there["x"], there.get("categories"), there.get("lengths")).float())
        return self.model.task.predict(torch.cat(outputs)).cpu()


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
    import_allowlist.allow(packages or [])
    file = checkpoint_of(path)
    checkpoint = read(file)
    try:
        config = yaml.safe_load(checkpoint[CONFIG])
        name = config["data"]["class_path"].rpartition(".")[2]
        state = checkpoint[name]
        model = build_model(config["model"]["class_path"], checkpoint["hyper_parameters"], checkpoint["state_dict"])
        classes, targets = tuple(state.get("class_names", ())), tuple(state.get("target_names", ()))
        return Predictor(model, restore_inputs(state), classes, targets, _device(device))
    except (ConfigError, DataError):
        raise
    except Exception as error:  # what another program wrote is wrong in every way there is
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        lacking = "it has no " if isinstance(error, KeyError) else ""
        raise ConfigError(f"{file} cannot be predicted with, {lacking}{reason}; name a checkpoint of a run") from error


def build_model(class_path: str, settings: Mapping[str, Any], state: Mapping[str, Tensor]) -> LitModel:
    """A model by its class, its hyper-parameters and its weights.

    Raises:
        ConfigError: For a class that is no model.
    """
    made = import_object(class_path)  # refuses what is not allowed
    if not (isinstance(made, type) and issubclass(made, LitModel)):
        raise ConfigError(f"{class_path} is no model")
    model = made(**of_network(settings))
    model.load_state_dict({name: value for name, value in state.items() if not name.startswith("loss.")})
    return model


def of_network(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The hyper-parameters that make a difference to predictions."""
    return {name: value for name, value in settings.items() if name not in OF_TRAINING and not name.startswith("_")}


def _device(name: Device) -> torch.device:
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"the device is auto, cpu or cuda, and not {name!r}")
    there = torch.cuda.is_available()
    disable_tf32()
    if name == "cuda" and not there:
        raise ConfigError("there is no CUDA device here; leave --device out")
    return torch.device("cuda" if there and name != "cpu" else "cpu")
