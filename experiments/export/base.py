"""Contract of an export format."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from experiments.export.formats import FORMATS

if TYPE_CHECKING:
    from experiments.inference.predictor import Predictor  # needs the training code, and reading a graph does not

Graph = Callable[[dict[str, Tensor]], Tensor]
"""Function from raw rows to predictions (N, ...) float64."""


class ExportFormat(ABC):
    """Writes a trained model into a folder, and reads it again; ``formats.FORMATS`` has a line for each."""

    @abstractmethod
    def save(self, predictor: "Predictor", raw: dict[str, Tensor], folder: Path) -> bool:
        """Writes the files of a model.

        Args:
            predictor: Trained model on the CPU.
            raw: Raw rows as ``Inputs.signature`` describes them, padded to the most steps.
            folder: Existing folder of the artefact.

        Returns:
            True if rows may have any number of steps.

        Raises:
            ConfigError: For a network that the format cannot hold.
            DataError: If an extra is not installed.
        """

    @abstractmethod
    def load(self, folder: Path, about: dict[str, Any], files: Mapping[str, str], packages: list[str]) -> Graph:
        """Reads the files again.

        Args:
            folder: Of the artefact.
            about: Its signature.
            files: Text files of its inputs, by name.
            packages: Trusted packages of the user, for formats that import classes.

        Raises:
            DataError: For files that cannot be read.
        """


def export_format(name: str) -> ExportFormat:
    """Returns the export format of a name in ``FORMATS``."""
    module, _, cls = FORMATS[name].class_path.rpartition(".")
    made: ExportFormat = getattr(import_module(module), cls)()
    return made
