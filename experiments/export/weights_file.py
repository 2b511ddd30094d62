"""Export formats safetensors and state-dict: weights alone, for the network that the training code builds again."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from typing_extensions import override

from datamodules.errors import DataError, raise_shortage
from datamodules.preprocessing.json_rows import reason_of
from datamodules.preprocessing.restore_inputs import import_inputs
from experiments import import_allowlist
from experiments.checked_zip import check
from experiments.export.check_rows import eager
from experiments.export.formats import ExportFormat, Graph
from experiments.inference.decision_rule import DecisionRule
from experiments.inference.predictor import Predictor, build_model
from experiments.run.record.export_samples import save_tensors
from lit_models import ConfigError

STATISTICS = "preparation.safetensors"
"""File of the train rows' statistics."""


class Safetensors(ExportFormat):
    """Weights as safetensors, and beside them the statistics of the inputs."""

    def write(self, state: dict[str, Tensor], folder: Path) -> None:
        """Writes a state dict."""
        save_tensors(folder / "model.safetensors", state)

    def read(self, folder: Path) -> dict[str, Tensor]:
        """Reads a state dict."""
        return load_file(folder / "model.safetensors")

    @override
    def save(self, predictor: Predictor, raw: dict[str, Tensor], folder: Path) -> bool:
        if len(predictor.members) > 1:
            raise ConfigError(
                f"weights are those of one network, and --ckpt_path names {len(predictor.members)} runs; take --format "
                "onnx or torch-export, or export each run by itself"
            )
        self.write({name: tensor.cpu().contiguous() for name, tensor in predictor.model.state_dict().items()}, folder)
        save_tensors(folder / STATISTICS, predictor.inputs.statistics())
        return True

    @override
    def load(self, folder: Path, about: dict[str, Any], files: Mapping[str, str], packages: list[str]) -> Graph:
        import_allowlist.allow(packages)
        try:
            model = build_model(about["model"]["class_path"], about["model"]["hyper_parameters"], self.read(folder))
            model.task.temperature = DecisionRule.of(about.get("decisions", {})).temperature
            inputs = import_inputs(about["raw"], load_file(folder / STATISTICS), files)
        except Exception as error:  # two libraries' readers and any constructor raise errors of every kind
            raise_shortage(error)
            raise DataError(f"the model of {folder} cannot be made again: {reason_of(error)}") from error
        predictor = Predictor(model, inputs)
        return lambda raw: eager(predictor, raw)


class StateDict(Safetensors):
    """Weights by ``torch.save``."""

    @override
    def write(self, state: dict[str, Tensor], folder: Path) -> None:
        buffer = io.BytesIO()  # on a full disk torch's own writer gives no reason
        torch.save(state, buffer)
        (folder / "model.pt").write_bytes(buffer.getbuffer())

    @override
    def read(self, folder: Path) -> dict[str, Tensor]:
        check(folder / "model.pt")
        state: dict[str, Tensor] = torch.load(folder / "model.pt", weights_only=True, map_location="cpu")
        return state
