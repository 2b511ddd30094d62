"""Export formats: their list, and the contract of one; free of torch, since the command's help reads the list."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from experiments.inference.predictor import Predictor

FORMATS = {
    "onnx": ("experiments.export.onnx_file.Onnx", "a graph for ONNX Runtime: raw numbers in, probabilities out"),
    "torch-export": ("experiments.export.torch_export_file.TorchExport", "the same graph for torch.export.load"),
    "safetensors": ("experiments.export.weights_file.Safetensors", "the weights, for the training code's network"),
    "state-dict": ("experiments.export.weights_file.StateDict", "torch.save(model.state_dict())"),
}
"""Class path and help of each format; a new one is a file with a subclass of ``ExportFormat``, and a line here."""

Graph = Callable[["dict[str, Tensor]"], "Tensor"]
"""Function from raw rows to predictions (N, ...) float64."""


class ExportFormat(ABC):
    """Writes a trained model into a folder, and reads it again."""

    @abstractmethod
    def save(self, predictor: "Predictor", raw: "dict[str, Tensor]", folder: Path) -> bool:
        """Writes the files of a model into an existing folder; returns True if rows may have any number of steps.

        The raw rows are those that ``Inputs.signature`` describes, padded to the most steps. Raises ``ConfigError`` for
        a network that the format cannot hold, and ``DataError`` if an extra is not installed.
        """

    @abstractmethod
    def load(self, folder: Path, about: dict[str, Any], files: Mapping[str, str], packages: list[str]) -> Graph:
        """Reads the files again, given the signature, the text files of the inputs by name and trusted packages.

        Raises ``DataError`` if it cannot.
        """


def export_format(name: str) -> ExportFormat:
    """Returns the export format of a name in ``FORMATS``."""
    module, _, cls = FORMATS[name][0].rpartition(".")
    made: ExportFormat = getattr(import_module(module), cls)()
    return made
