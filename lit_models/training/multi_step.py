"""Several optimizer steps in one of Lightning's, whose dispatch costs as much as a small network's step.

Keras calls the idea ``steps_per_execution``. The callback takes all steps of a block but the last itself, and the last
one is an ordinary step of Lightning. Every counter and every random number is then where single steps would have it, so
that whatever runs at a block's end (checkpoints, schedules, validation, a resumed run) sees the same values.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.core.hooks import DataHooks
from lightning.pytorch.plugins import Precision
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor
from torch.optim import Optimizer
from typing_extensions import override

from lit_models.cpu.switch import plain
from lit_models.errors import ConfigError
from lit_models.internals.lightning_parts import count_stepped_batch, inside_hook, next_batch, steps_between_saves
from lit_models.training.multi_step_size import MultiStepSize, obstacle, runs_single_steps

TRANSFER_HOOKS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")


class Step(NamedTuple):
    """Step that was taken ahead."""

    loss: Tensor
    rows: Tensor | None  # ids, if the batch has them


class MultiStep(Callback):
    """Takes several optimizer steps between two calls of Lightning's hooks.

    A subclass of ``base`` that overrides one of ``MODEL_METHODS`` may observe steps: in auto mode it gets single ones.
    """

    block_by_block = True

    def __init__(self, steps: int | Literal["auto"], base: type[LightningModule]) -> None:
        if steps != "auto" and (not isinstance(steps, int) or steps < 1):
            raise ConfigError(f"steps_per_execution must be auto or at least 1, and it is {steps!r}")
        self.steps = steps
        self.base = base
        self.size = MultiStepSize(None if steps == "auto" else steps)
        self.ahead: list[Step] = []  # the steps of the current block that were taken ahead, read by other callbacks
        self._single = False

    def check(self, trainer: Trainer, model: LightningModule, optimizer: Optimizer) -> None:
        """Raises ``ConfigError`` if a number of steps was chosen and something needs single steps."""
        if self.steps not in (1, "auto") and (reason := obstacle(trainer, model, optimizer)):
            raise ConfigError(
                f"steps_per_execution {self.steps} does not go with {reason}; leave --model.steps_per_execution out"
            )

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._choose(trainer, pl_module)  # an epoch that is resumed inside does not start

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._choose(trainer, pl_module)  # callbacks may have changed the trainer since the last epoch

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        single = self._single or not isinstance(batch, dict)
        if single and self.steps not in (1, "auto"):
            raise ConfigError(
                f"steps_per_execution {self.steps} needs batches that are dictionaries, and the data loader yields "
                f"{type(batch).__name__}; leave steps_per_execution out"
            )
        steps = 1 if single else self.size.next(len(self.ahead) + 1)
        self.ahead = take_ahead(trainer, pl_module, batch, steps) if steps > 1 else []

    def _choose(self, trainer: Trainer, model: LightningModule) -> None:
        self.size.restart()
        self._single = self.steps == "auto" and runs_single_steps(trainer, model, self.base)


def take_ahead(trainer: Trainer, model: LightningModule, batch: dict[str, Any], steps: int) -> list[Step]:
    """Takes a block's steps but the last; ``batch``, the first one's, becomes the last one's in place."""
    loop, optimizer = trainer.fit_loop.epoch_loop, trainer.optimizers[0]
    progress, counts = loop.batch_progress, loop.automatic_optimization.optim_progress.optimizer
    cleared: list[Any] = [counts.zero_grad.total, counts.zero_grad.current]
    stepped = [counts.step.total, counts.step.current, *cleared]
    by_step = any(config.interval == "step" for config in trainer.lr_scheduler_configs)
    owners = [owner for owner in (model, trainer.datamodule) if owner is not None]  # type: ignore[attr-defined]
    # A transfer hook may change a batch that is on the device already.
    transfer = any(is_overridden(hook, owner, DataHooks) for hook in TRANSFER_HOOKS for owner in owners)
    current, step = batch, _step_function(trainer, model, optimizer)
    taken: list[Step] = []
    with inside_hook(model, "training_step"):
        for _ in range(_steps_until_due(trainer, steps) - 1):
            if progress.is_last_batch:  # the fetcher may reach the end before the loader's length
                break
            progress.increment_started()
            loss = step(current, loop.batch_idx)
            for count in stepped:
                count.ready += 1
                count.completed += 1
            for count in cleared:
                count.started += 1
            progress.increment_processed()
            for on_plateau in (False, True) if by_step else ():
                loop.update_lr_schedulers("step", update_plateau_schedulers=on_plateau)
            progress.increment_completed()
            count_stepped_batch(trainer)
            taken.append(Step(loss, current.get("row")))
            current = next_batch(trainer, transfer)
    if current is not batch:
        batch.clear()
        batch.update(current)
    return taken


def _steps_until_due(trainer: Trainer, steps: int) -> int:
    """Returns the number of steps, at most ``steps``, after which a validation, a save or the epoch's end is due."""
    loop = trainer.fit_loop.epoch_loop
    ends: list[float] = [steps, trainer.num_training_batches - loop.batch_idx]
    if trainer.max_steps >= 0:
        ends.append(trainer.max_steps - loop.global_step)
    validation = trainer.val_check_batch
    if validation is not None and validation != float("inf"):
        done = loop.total_batch_idx if trainer.check_val_every_n_epoch is None else loop.batch_idx
        ends.append(validation - done % validation)
    saves = filter(None, map(steps_between_saves, trainer.checkpoint_callbacks))
    ends += [every - loop.global_step % every for every in saves]
    return int(min(ends))


def _step_function(
    trainer: Trainer, model: LightningModule, optimizer: Optimizer
) -> Callable[[dict[str, Any], int], Tensor]:
    """Returns a function that takes a step in Lightning's order, without the callbacks' hooks."""
    strategy = trainer.strategy
    unwrapped = type(trainer.precision_plugin) is Precision and strategy.model is model
    forward: Callable[..., Any] = model.training_step if unwrapped else strategy.training_step
    clip, algorithm = trainer.gradient_clip_val, trainer.gradient_clip_algorithm
    clips = bool(clip) or is_overridden("configure_gradient_clipping", model)
    usual = getattr(optimizer.zero_grad, "__func__", None) is Optimizer.zero_grad
    forgets = usual and not is_overridden("optimizer_zero_grad", model) and not plain()

    def step(batch: dict[str, Any], batch_idx: int) -> Tensor:
        with torch.enable_grad():
            output = forward(batch, batch_idx)
            loss: Tensor = output["loss"] if isinstance(output, Mapping) else output
            model.on_before_zero_grad(optimizer)
            if forgets:
                _forget_gradients(optimizer)
            else:
                model.optimizer_zero_grad(trainer.current_epoch, batch_idx, optimizer)
            model.on_before_backward(loss)
            model.backward(loss)
            model.on_after_backward()
        model.on_before_optimizer_step(optimizer)
        if clips:
            model.configure_gradient_clipping(optimizer, clip, algorithm)
        optimizer.step()
        return loss.detach()

    return step


def _forget_gradients(optimizer: Optimizer) -> None:
    """Clears gradients as ``Optimizer.zero_grad`` does, whose note for profilers takes as long as a small layer."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None
