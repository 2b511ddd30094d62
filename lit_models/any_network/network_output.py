"""Reads the outputs, or the features, in what a network returns."""

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

from torch import Tensor

from lit_models.networks.padding import masked_mean

LOGITS = ("logits",)

FEATURES = ("features", "pooler_output", "last_hidden_state")
"""Names of features in a dictionary, a named tuple or a dataclass; the last two are those of transformers."""


def read_output(returned: Any, names: tuple[str, ...]) -> Tensor | None:
    """Returns the tensor in what a network returns; None if it is nothing that is understood.

    It is the tensor itself, the first of ``names`` in a dictionary or an object with fields, or the first item of a
    plain tuple or list.
    """
    if isinstance(returned, Tensor):
        return returned
    fields = returned if isinstance(returned, Mapping) else _fields(returned)
    found = [fields[name] for name in names if isinstance(fields.get(name), Tensor)]
    if not fields and isinstance(returned, tuple | list) and returned and isinstance(returned[0], Tensor):
        found = [returned[0]]
    return found[0] if found else None


def _fields(returned: Any) -> dict[str, Any]:
    """Returns the fields of a dataclass or a named tuple by name; empty for another object."""
    if is_dataclass(returned) and not isinstance(returned, type):
        return dict(vars(returned))
    return returned._asdict() if isinstance(returned, tuple) and hasattr(returned, "_asdict") else {}


def pool_features(features: Tensor, is_sequence: bool, padding: Tensor | None) -> Tensor:
    """Computes the mean of features over all axes but the batch and the features.

    Args:
        features: (N, D), a sequence (N, T, D), or a grid (N, D, T) or (N, D, H, W).
        is_sequence: True for a sequence.
        padding: (N, T) bool, True behind a row's end, or None. Of a grid it is not used.

    Returns:
        (N, D).
    """
    if features.dim() == 2:
        return features
    return masked_mean(features, padding) if is_sequence else features.flatten(2).mean(dim=2)


def described(returned: Any) -> str:
    """Returns the kind and the shapes of what a network returns, for messages."""
    if isinstance(returned, Tensor):
        kind = "" if returned.is_floating_point() else f" of {str(returned.dtype).removeprefix('torch.')}"
        return f"{tuple(returned.shape)}{kind}"
    fields = returned if isinstance(returned, Mapping) else _fields(returned)
    if fields:
        texts = ", ".join(f"{name} {described(value)}" for name, value in list(fields.items())[:5])
        return f"a {type(returned).__name__} of {texts}"
    if isinstance(returned, tuple | list):
        return f"a {type(returned).__name__} of {', '.join(map(described, returned[:5])) or 'nothing'}"
    return "None" if returned is None else f"a {type(returned).__name__}"
