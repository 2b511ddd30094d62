"""Predictions for raw rows from a checkpoint or an exported model."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.inference.predictor import load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    # Lazily: an exported model is read without torch and Lightning.
    if name != "load":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from experiments.inference.predictor import load

    return load
