"""Registry of the modalities' inputs, and their restoration from a checkpoint or an artefact."""

from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any

from torch import Tensor

from datamodules.errors import DataError
from datamodules.preprocessing.inputs import Inputs

INPUTS = {
    "array": "datamodules.preprocessing.array_inputs.ArrayInputs",
    "table": "datamodules.tables.inputs.TableInputs",
    "image": "datamodules.imaging.inputs.ImageInputs",
    "series": "datamodules.sequences.inputs.SeriesInputs",
    "text": "datamodules.texts.inputs.TextInputs",
}
"""Class of inputs by the ``kind`` in its state; a new modality is one line here, and one in ``lit_models.stems``."""


def restore_inputs(state: Mapping[str, Any]) -> Inputs:
    """Builds the inputs of a data module's ``state_dict``; raises ``DataError`` for one of an older version without."""
    kind = state.get("inputs", {}).get("kind")
    if kind not in INPUTS:
        raise DataError("the checkpoint does not say what its inputs look like; train it again")
    cls: type[Inputs] = resolve_name(INPUTS[kind])
    return cls.restored(state)


def import_inputs(state: Mapping[str, Any], statistics: Mapping[str, Tensor], files: Mapping[str, str]) -> Inputs:
    """Builds the inputs of an artefact from ``exported_state()``, ``statistics()`` and ``exported_files()`` of others.

    Without statistics the tensors are those of an exported graph, see ``Inputs.unprepared``.
    """
    prefix = "statistics."
    own = {name.removeprefix(prefix): value for name, value in statistics.items() if name.startswith(prefix)}
    return restore_inputs({**state, **files, **statistics, "statistics": own})
