"""The plugins of a run: those that were typed, and what stands in where none of their kind was."""

from typing import Any

from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from lightning.pytorch.plugins import LayerSync

from lit_models.batch_norm import GlobalBatchNorms


def run_plugins(typed: list[Any], files: CheckpointIO) -> list[Any]:
    """Add what makes batch normalization that of all devices, and what writes checkpoints.

    Args:
        typed: The plugins that the configuration names.
        files: Writes checkpoints where nobody typed a way of their own.
    """
    plugins = typed
    if not any(isinstance(plugin, LayerSync) for plugin in plugins):
        plugins = [*plugins, GlobalBatchNorms()]
    own = any(isinstance(plugin, CheckpointIO) for plugin in plugins)
    return plugins if own else [*plugins, files]
