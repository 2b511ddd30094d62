"""Architectures as LightningModules, with their losses, schedules and tasks. Knows no data module.

Names are loaded when they are first asked for, so that ``lit_models.networks`` imports without Lightning.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lit_models.base import LitModel
    from lit_models.cnn import LitCNN
    from lit_models.errors import ConfigError
    from lit_models.linear import LitLinear
    from lit_models.losses import FocalLoss, SoftTargetCrossEntropy
    from lit_models.mlp import LitMLP
    from lit_models.res_cnn import LitResCNN
    from lit_models.res_mlp import LitResMLP
    from lit_models.rnn import LitRNN
    from lit_models.schedules import Schedule
    from lit_models.transformer import LitTransformer

__all__ = [
    "ConfigError",
    "FocalLoss",
    "LitCNN",
    "LitLinear",
    "LitMLP",
    "LitModel",
    "LitRNN",
    "LitResCNN",
    "LitResMLP",
    "LitTransformer",
    "Schedule",
    "SoftTargetCrossEntropy",
]

_HOMES = {
    "ConfigError": "errors",
    "FocalLoss": "losses",
    "LitCNN": "cnn",
    "LitLinear": "linear",
    "LitMLP": "mlp",
    "LitModel": "base",
    "LitRNN": "rnn",
    "LitResCNN": "res_cnn",
    "LitResMLP": "res_mlp",
    "LitTransformer": "transformer",
    "Schedule": "schedules",
    "SoftTargetCrossEntropy": "losses",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
