"""Exported models: writing, verifying and loading them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.export.exported_predictor import load_export

__all__ = ["load_export"]


def __getattr__(name: str) -> Any:
    # Lazily: parts of this package need neither polars nor onnxruntime.
    if name != "load_export":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from experiments.export.exported_predictor import load_export

    return load_export
