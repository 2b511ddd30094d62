"""From the state of a data module, as a checkpoint has it, to what turns raw rows into a model's inputs."""

from typing import Any

from datamodules.errors import DataError
from datamodules.imaging.inputs import ImageInputs
from datamodules.preprocessing.inputs import ArrayInputs, Inputs
from datamodules.sequences.inputs import SeriesInputs
from datamodules.tables.inputs import TableInputs
from datamodules.texts.inputs import TextInputs


def restore_inputs(state: dict[str, Any]) -> Inputs:
    """What ``state_dict`` of any data module was taken of.

    Raises:
        DataError: For a state that has no inputs, such as that of an older checkpoint.
    """
    match state.get("inputs", {}).get("kind"):
        case "array":
            return ArrayInputs.restored(state)
        case "table":
            return TableInputs.restored(state)
        case "image":
            return ImageInputs.restored(state)
        case "series":
            return SeriesInputs.restored(state)
        case "text":
            return TextInputs.restored(state)
    raise DataError("the checkpoint does not say what its inputs look like; train it again")
