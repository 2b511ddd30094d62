"""Properties of a data module that are arguments of a model."""

from typing import Any

from lightning.pytorch import LightningDataModule

from lit_models.errors import ConfigError

FACTS = ("task", "modality", "input_shape", "num_outputs", "cardinalities", "vocab_size")
"""Names of the properties; those of no default come first."""

REQUIRED = FACTS[:4]


def facts_of(data: LightningDataModule, options: dict[str, Any], name: str) -> dict[str, Any]:
    """Returns a data module's properties and other arguments of the model ``name``, which win.

    Raises ``ConfigError`` for a property that neither has.
    """
    arguments = {fact: getattr(data, fact) for fact in FACTS if hasattr(data, fact)} | options
    if missing := [fact for fact in REQUIRED if fact not in arguments]:
        raise ConfigError(
            f"{type(data).__name__} has no {', '.join(missing)}; set them as its attributes, or give them as arguments "
            f"of {name}.for_data"
        )
    return arguments
