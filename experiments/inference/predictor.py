"""Predictions of trained runs from their checkpoints alone: ``load("runs/...").predict(rows)``."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import numpy
import polars
import torch
from torch import Tensor, nn
from typing_extensions import override

from datamodules import DataError
from datamodules.errors import raise_shortage
from datamodules.loading.evaluation_batch_size import rows_at_once
from datamodules.loading.tensor_loader import TensorLoader
from datamodules.preprocessing.inputs import Chunk, Inputs
from datamodules.preprocessing.json_rows import reason_of
from datamodules.preprocessing.restore_inputs import restore_inputs
from experiments import safe_yaml
from experiments.allowed_classes import import_class
from experiments.import_allowlist import allow
from experiments.inference.base import Answering
from experiments.inference.decision_rule import DecisionRule
from experiments.inference.ensemble_check import check_different, difference
from experiments.network_option import import_network, read_factory
from experiments.run.checkpoints.best_checkpoint import checkpoint_of
from experiments.run.checkpoints.checkpoint_io import CONFIG, read
from experiments.run.precision import disable_tf32
from lit_models import ConfigError, LitLightningModule, LitModel, LitModule

Device = Literal["auto", "cpu", "cuda"]
Place = str | os.PathLike[str]

OF_TRAINING = (
    *("loss", "class_weights", "optimizer", "schedule", "metrics"),
    *("weights", "weights_partial", "freeze", "unfreeze_epoch", "lr_decay_by_layer", "optimizer_groups"),
)
"""Hyper-parameters that do not change predictions."""

MORE_TENSORS, MORE_NUMBERS = 1_000, 2**26
"""Parameters and buffers that a network may have besides twice those of its file: buffers need not be stored."""


class Predictor(Answering):
    """Predictor of a trained model."""

    def __init__(
        self,
        model: LitModel,
        inputs: Inputs,
        class_names: tuple[str, ...] = (),
        target_names: tuple[str, ...] = (),
        device: torch.device | None = None,
    ) -> None:
        rule = DecisionRule.of(model.decision_rule)
        super().__init__(model.task.name, inputs, class_names, target_names, rule)
        self.device = device or torch.device("cpu")
        self.model = model.eval().requires_grad_(False).to(self.device)

    @property
    def members(self) -> "Sequence[Predictor]":
        """Predictors whose mean this one is: itself alone."""
        return [self]

    @override
    @torch.inference_mode()
    def compute(self, chunk: Chunk) -> Tensor:
        size = rows_at_once(self.model.input_shape, self.model.modality, self.device)
        outputs = [torch.empty(0, self.model.num_outputs, device=self.device)]
        for batch in TensorLoader(chunk.tensors, size) if len(chunk.ids) else ():
            on_device = {name: column.to(self.device) for name, column in batch.items()}
            outputs.append(self.model(on_device["x"], on_device.get("categories"), on_device.get("lengths")).float())
        return self.model.task.predict(torch.cat(outputs)).cpu()

    def compute_raw(self, raw: Mapping[str, Tensor]) -> Tensor:
        """Computes the predictions (N, ...) of the tensors of ``inputs.unprepared()``, float64."""
        ids = polars.DataFrame({"row": numpy.arange(len(raw["x"]))})
        prepared = {**raw, "x": self.inputs.preprocessor()(raw["x"], raw.get("lengths"))}
        return self.compute(Chunk(ids, prepared, ids.clear()))


class Ensemble(Predictor):
    """Predictor whose predictions are the mean of its members', each by its own preprocessing and network.

    Rows are read as they come, and every member normalizes them by the statistics of its own train rows, which may be
    those of other splits. Architectures may differ. ``model`` is that of the first member. The threshold is the mean of
    the members'; sets and intervals are left out, since no validation rows say how often the mean's would be right.

    Args:
        members: At least two predictors of rows of one form, with the same task and classes.
        names: Their paths, for error messages.

    Raises:
        ConfigError: For members that do not go together.
    """

    def __init__(self, members: Sequence[Predictor], names: Sequence[str | Path]) -> None:
        first = members[0]
        for member, name in zip(members[1:], names[1:], strict=True):
            is_same_size = first.model.num_outputs == member.model.num_outputs
            if found := difference(first, member) or (None if is_same_size else "classes"):
                raise ConfigError(
                    f"--ckpt_path {name} has other {found} than {names[0]}, and their mean has no meaning; name runs "
                    "of the same data"
                )
        super().__init__(first.model, first.inputs.unprepared(), first.class_names, first.target_names, first.device)
        self._members = [*members]
        self.rule = DecisionRule.mean([member.rule for member in members])

    @property
    @override
    def members(self) -> Sequence[Predictor]:
        return self._members

    @override
    def compute(self, chunk: Chunk) -> Tensor:
        return self.compute_raw(chunk.tensors)

    @override
    def compute_raw(self, raw: Mapping[str, Tensor]) -> Tensor:
        return torch.stack([member.compute_raw(raw) for member in self._members]).mean(dim=0)


def load(path: Place | Sequence[Place], device: Device = "auto", trust: list[str] | None = None) -> Predictor:
    """Loads a run's folder by its best checkpoint, or a checkpoint; nothing else of the run is read.

    Several paths predict together: the mean of their probabilities or values. A user's ``trust``-ed packages have the
    classes that the runs name; a pyproject.toml is not read. Raises ``ConfigError`` for another path or paths that do
    not go together, and ``DataError`` if a checkpoint does not describe its inputs.
    """
    allow(trust or [])
    paths = [os.fspath(each) for each in ([path] if isinstance(path, str | os.PathLike) else path)]
    if len(paths) == 1:
        return _load(paths[0], device)
    check_different(paths)
    return Ensemble([_load(each, device) for each in paths], paths)


def _load(path: str | Path, device: Device) -> Predictor:
    file = checkpoint_of(path)
    checkpoint = read(file)
    try:
        config = safe_yaml.load(checkpoint[CONFIG])
        state = checkpoint[config["data"]["class_path"].rpartition(".")[2]]
        model = build_model(config["model"]["class_path"], checkpoint["hyper_parameters"], checkpoint["state_dict"])
        model.load_decisions(checkpoint)
        classes, targets = (tuple(state.get(name, ())) for name in ("class_names", "target_names"))
        return Predictor(model, restore_inputs(state), classes, targets, _device(device))
    except (ConfigError, DataError):
        raise
    except Exception as error:  # files of other programs raise errors of every kind
        raise_shortage(error)
        reason = f"it has no {error}" if isinstance(error, KeyError) else reason_of(error)
        raise ConfigError(f"{file} cannot be predicted with, {reason}; name a checkpoint of a run") from error


def build_model(class_path: str, settings: Mapping[str, Any], state: Mapping[str, Tensor]) -> LitModel:
    """Builds a model of a class with its hyper-parameters and weights.

    Raises ``ConfigError`` for another class, and ``ValueError`` for a much larger network than the weights are of.
    """
    cls = import_class(class_path)  # refuses packages that are not trusted
    if not (isinstance(cls, type) and issubclass(cls, LitModel)):
        raise ConfigError(f"{class_path} is no model")
    with _at_most(2 * len(state) + MORE_TENSORS, 2 * sum(value.numel() for value in state.values()) + MORE_NUMBERS):
        settings = of_network(settings)
        if issubclass(cls, LitModule | LitLightningModule):
            settings["network"] = import_network(read_factory(settings.get("network", ""), None, None))
        model = cls(**settings)
    model.load_state_dict({name: value for name, value in state.items() if not name.startswith("loss.")})
    return model


@contextmanager
def _at_most(tensors: int, numbers: int) -> Iterator[None]:
    """Ends the construction of a network that has more parameters and buffers, before it fills the memory."""
    counts = [0, 0]

    def count(module: nn.Module, name: str, tensor: Tensor | None) -> None:
        if tensor is not None and not nn.parameter.is_lazy(tensor):
            counts[:] = counts[0] + 1, counts[1] + tensor.numel()
        if counts[0] > tensors or counts[1] > numbers:
            raise ValueError("its hyper-parameters describe a larger network than its weights")

    hooks = (
        nn.modules.module.register_module_parameter_registration_hook(count),
        nn.modules.module.register_module_buffer_registration_hook(count),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def of_network(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the hyper-parameters that change predictions."""
    return {name: value for name, value in settings.items() if name not in OF_TRAINING and not name.startswith("_")}


def _device(name: Device) -> torch.device:
    if name not in get_args(Device):
        raise ConfigError(f"the device is auto, cpu or cuda, and not {name!r}")
    has_cuda = torch.cuda.is_available()
    disable_tf32()
    if name == "cuda" and not has_cuda:
        raise ConfigError("there is no CUDA device here; leave --device out")
    return torch.device("cuda" if has_cuda and name != "cpu" else "cpu")
