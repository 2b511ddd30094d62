"""Hooks of a LightningModule inside of another one, which Lightning calls on the outer one alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.model_helpers import is_overridden

from lit_models.internals.lightning_parts import inside_hook

BATCH_HOOKS = {
    **dict.fromkeys(("on_train_batch_start", "on_validation_batch_start", "on_test_batch_start"), 0),
    **dict.fromkeys(("on_train_batch_end", "on_validation_batch_end", "on_test_batch_end"), 1),
}
"""Hooks that get a batch, and its position among their arguments."""

HOOKS = (
    *BATCH_HOOKS,
    *("on_fit_start", "on_fit_end", "on_train_start", "on_train_end", "on_train_epoch_start", "on_train_epoch_end"),
    *("on_validation_start", "on_validation_end", "on_validation_epoch_start"),
    *("on_test_start", "on_test_end", "on_test_epoch_start"),
    *("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step"),
    *("backward", "optimizer_step", "optimizer_zero_grad", "configure_gradient_clipping", "lr_scheduler_step"),
    *("on_save_checkpoint", "on_load_checkpoint", "teardown"),
)
"""Hooks that are handed on as they are."""

NOT_CALLED = (
    *("prepare_data", "train_dataloader", "val_dataloader", "test_dataloader", "predict_dataloader"),
    *("configure_callbacks", "predict_step", "on_before_batch_transfer", "transfer_batch_to_device"),
    *("on_predict_start", "on_predict_end", "on_predict_epoch_start", "on_predict_epoch_end"),
    *("on_predict_batch_start", "on_predict_batch_end"),
)
"""Methods that a LightningModule may have, and that nothing calls here."""


@contextmanager
def acting(inner: LightningModule, hook: str) -> Iterator[None]:
    """Context in which the inner module logs as within one of its hooks."""
    with inside_hook(inner, hook):
        yield


def hand_on_hooks(outer: LightningModule, inner: LightningModule, batch: Callable[[Any], Any]) -> None:
    """Has the outer module call those of ``HOOKS`` that the inner one overrides; ``batch`` converts their batches."""
    for name in HOOKS:
        if is_overridden(name, inner):
            setattr(outer, name, MethodType(_hook(name, inner, batch), outer))


def _hook(name: str, inner: LightningModule, batch: Callable[[Any], Any]) -> Callable[..., Any]:
    position = BATCH_HOOKS.get(name)

    def hook(outer: LightningModule, *args: Any, **kwargs: Any) -> Any:
        if position is not None:
            args = (*args[:position], batch(args[position]), *args[position + 1 :])
        with acting(inner, name):
            return getattr(inner, name)(*args, **kwargs)

    return hook
