"""Several optimizer steps in one of Lightning's, whose dispatch costs as much as a small network's step.

Keras calls the idea ``steps_per_execution``. A block's steps but the last are taken here, ahead of Lightning's own:
each fetches its batch from Lightning's fetcher, runs the module's own hooks, and counts itself into the loops'
progress. The last is an ordinary step of Lightning. Every counter and every random number is then where a run of single
steps has it, so that whatever looks at a block's end (checkpoints, schedules, validation, a resumed run) sees the same,
bit for bit.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler, StochasticWeightAveraging, WeightAveraging
from lightning.pytorch.core.hooks import DataHooks
from lightning.pytorch.plugins import Precision
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor
from torch.optim import LBFGS, Optimizer

if TYPE_CHECKING:
    from lit_models.base import LitModel

import time
from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.profilers import PassThroughProfiler

from lit_models.errors import ConfigError

if TYPE_CHECKING:
    from lit_models.base import LitModel

ON_THE_WAY = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")

OF_A_STEP = ("on_before_zero_grad", "on_before_backward", "on_after_backward")

WITHIN_A_STEP = (*OF_A_STEP, "on_before_optimizer_step")
"""Hooks of callbacks that are not called for the steps that are taken ahead."""


class Step(NamedTuple):
    """The loss of a step that was taken ahead, and the ids of its rows where the batch has them."""

    loss: Tensor
    rows: Tensor | None


def obstacle(model: "LitModel", optimizer: Optimizer) -> str:
    """What needs every step to be one of Lightning's; empty where nothing does."""
    trainer = model.trainer
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set from another class
    inside = [one for one in callbacks if any(is_overridden(hook, one, Callback) for hook in WITHIN_A_STEP)]
    inside += [one for one in callbacks if isinstance(one, WeightAveraging | StochasticWeightAveraging)]
    if trainer.accumulate_grad_batches > 1 or any(isinstance(one, GradientAccumulationScheduler) for one in callbacks):
        return "accumulated gradients"
    if not isinstance(trainer.strategy, SingleDeviceStrategy):
        return "several devices"
    if trainer.precision == "16-mixed":
        return "16-mixed, whose gradients are scaled (bf16-mixed does)"
    if isinstance(optimizer, LBFGS):
        return "LBFGS, which asks for the loss several times a step"
    if is_overridden("optimizer_step", model):
        return f"{type(model).__name__}'s own optimizer_step"
    return f"{type(inside[0]).__name__}, which acts within each step" if inside else ""


def take_ahead(model: "LitModel", batch: dict[str, Any], steps_of_block: int) -> list[Step]:
    """Take a block's steps but the last; ``batch``, the first of them, becomes the last one's."""
    trainer, optimizer = model.trainer, model.trainer.optimizers[0]
    loop, fetcher = trainer.fit_loop.epoch_loop, trainer.fit_loop._data_fetcher
    assert fetcher is not None
    progress, steps = loop.batch_progress, loop.automatic_optimization.optim_progress.optimizer
    by_step = [one for one in trainer.lr_scheduler_configs if one.interval == "step"]
    taken: list[Step] = []
    hook, model._current_fx_name = model._current_fx_name, "training_step"  # under which the step logs
    cleared: list[Any] = [steps.zero_grad.total, steps.zero_grad.current]
    counts = [steps.step.total, steps.step.current, *cleared]
    current, moves, step = batch, _moves(trainer), _step_of(model, optimizer)
    for _ in range(_room(trainer, steps_of_block) - 1):
        if progress.is_last_batch:  # the fetcher knows more than the loader's length
            break
        progress.increment_started()
        loss = step(current, loop.batch_idx)
        for count in counts:
            count.ready += 1
            count.completed += 1
        for count in cleared:
            count.started += 1
        progress.increment_processed()
        for on_plateau in (False, True) if by_step else ():
            loop.update_lr_schedulers("step", update_plateau_schedulers=on_plateau)
        progress.increment_completed()
        loop._batches_that_stepped += 1
        taken.append(Step(loss, current.get("row")))
        current = _next(trainer, fetcher, moves)
    if current is not batch:
        batch.clear()
        batch.update(current)
    model._current_fx_name = hook
    return taken


def _room(trainer: Trainer, steps: int) -> int:
    """How many steps from here are one block: where anything is due, it ends."""
    loop = trainer.fit_loop.epoch_loop
    ends: list[float] = [steps, trainer.num_training_batches - loop.batch_idx]
    if trainer.max_steps >= 0:
        ends.append(trainer.max_steps - loop.global_step)
    validation = trainer.val_check_batch
    if validation is not None and validation != float("inf"):
        place = loop.total_batch_idx if trainer.check_val_every_n_epoch is None else loop.batch_idx
        ends.append(validation - place % validation)
    for one in trainer.checkpoint_callbacks:
        every = getattr(one, "_every_n_train_steps", 0) or getattr(one, "every_n_steps", 0)
        if every:
            ends.append(every - loop.global_step % every)
    return int(min(ends))


def _moves(trainer: Trainer) -> bool:
    """Whether a batch that is on the device already may still be changed on its way to the module."""
    owners = [one for one in (trainer.lightning_module, trainer.datamodule) if one is not None]  # type: ignore[attr-defined]
    return any(is_overridden(hook, one, DataHooks) for hook in ON_THE_WAY for one in owners)


def _next(trainer: Trainer, fetcher: Any, moves: bool) -> dict[str, Any]:
    """The next batch, as ``_TrainingEpochLoop.advance`` gets it."""
    progress = trainer.fit_loop.epoch_loop.batch_progress
    batch, _, _ = next(fetcher)
    progress.is_last_batch = fetcher.done
    batch = trainer.precision_plugin.convert_input(batch)
    device = trainer.strategy.root_device
    if moves or not all(isinstance(one, Tensor) and one.device == device for one in batch.values()):
        batch = trainer.lightning_module._on_before_batch_transfer(batch, dataloader_idx=0)
        batch = trainer.strategy.batch_to_device(batch, dataloader_idx=0)
    progress.increment_ready()
    trainer._logger_connector.on_batch_start(batch)
    taken: dict[str, Any] = batch
    return taken


def _step_of(model: "LitModel", optimizer: Optimizer) -> Callable[[dict[str, Any], int], Tensor]:
    """What takes a step in Lightning's order, and gives its loss; what does nothing in this run is left out of it."""
    trainer, strategy = model.trainer, model.trainer.strategy
    as_it_is = type(trainer.precision_plugin) is Precision and strategy.model is model
    forward: Callable[..., Any] = model.training_step if as_it_is else strategy.training_step
    clip, algorithm = trainer.gradient_clip_val, trainer.gradient_clip_algorithm
    clips = bool(clip) or is_overridden("configure_gradient_clipping", model)
    plain = getattr(optimizer.zero_grad, "__func__", None) is Optimizer.zero_grad
    plain = plain and not is_overridden("optimizer_zero_grad", model)
    hooks = [name for name in OF_A_STEP if is_overridden(name, model)]

    def hook(name: str, *arguments: Any) -> None:
        if name in hooks:
            getattr(model, name)(*arguments)

    def step(batch: dict[str, Any], batch_idx: int) -> Tensor:
        with torch.enable_grad():
            output = forward(batch, batch_idx)
            loss: Tensor = output["loss"] if isinstance(output, Mapping) else output
            hook("on_before_zero_grad", optimizer)
            if plain:
                _forget_gradients(optimizer)
            else:
                model.optimizer_zero_grad(trainer.current_epoch, batch_idx, optimizer)
            hook("on_before_backward", loss)
            model.backward(loss)
            hook("on_after_backward")
        model.on_before_optimizer_step(optimizer)
        if clips:
            model.configure_gradient_clipping(optimizer, clip, algorithm)
        optimizer.step()
        return loss.detach()

    return step


def _forget_gradients(optimizer: Optimizer) -> None:
    """What ``Optimizer.zero_grad`` does, without the note for profilers, which takes as long as a small layer."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None


SHORT, LONG = 0.1, 0.3
"""Seconds of a block below which the next is twice as long, and above which it is half as long."""

OF_A_BATCH = ("on_train_batch_start", "on_train_batch_end")

OF_THE_MODEL = (
    *("training_step", *OF_A_BATCH, *WITHIN_A_STEP),
    *("backward", "optimizer_step", "optimizer_zero_grad", "configure_gradient_clipping", "lr_scheduler_step"),
)
"""Methods in which a model may look at each step."""


class Pace:
    """Steps of the coming block.

    Chosen by time, they follow the seconds that blocks take, so that a block is short to a person who waits for the
    bar or a signal, and long to Lightning, whose way from one step to the next is then a small part.

    Args:
        steps: Of every block; None to choose them by time.
    """

    def __init__(self, steps: int | None) -> None:
        self._typed = steps
        self._steps = 1
        self._since: float | None = None

    def restart(self) -> None:
        """What comes between this moment and the next block is none of the last one's time."""
        self._since = None

    def next(self, taken: int) -> int:
        """Steps of the block that begins now.

        Args:
            taken: Steps of the one before, which may have ended early.
        """
        if self._typed is not None:
            return self._typed
        now = time.perf_counter()
        if self._since is not None:
            seconds = now - self._since
            if seconds < SHORT and taken >= self._steps:
                self._steps *= 2
            elif seconds > LONG:
                self._steps = max(1, taken // 2)
        self._since = now
        return self._steps


def check_pace(model: "LitModel", optimizer: Optimizer) -> None:
    """Raise ``ConfigError`` where blocks were typed, and something needs every step to be one of Lightning's."""
    typed = model.steps_per_execution
    reason = "" if typed in (1, "auto") else obstacle(model, optimizer)
    if reason:
        raise ConfigError(
            f"steps_per_execution {typed} does not go with {reason}; leave --model.steps_per_execution out"
        )


def goes_singly(model: "LitModel", optimizer: Optimizer) -> bool:
    """Whether an epoch's steps are to be single where nobody said: a block could do harm, or somebody looks at steps.

    Those who look are callbacks and profilers, and the model in methods of its own; so they are on any device but a
    CPU.
    """
    trainer = model.trainer
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set from another class
    profiler = trainer.profiler  # type: ignore[attr-defined]  # as the callbacks
    return (
        model.device.type != "cpu"
        or not isinstance(profiler, PassThroughProfiler)
        or bool(obstacle(model, optimizer))
        or any(_looks(one) for one in callbacks)
        or any(_is_own(model, name) for name in OF_THE_MODEL)
    )


def _looks(callback: Callback) -> bool:
    """Whether a callback has to see each batch; ours say where a block's end does as well (``block_by_block``)."""
    if getattr(callback, "block_by_block", False):
        return False
    saves = type(callback).on_train_batch_end is ModelCheckpoint.on_train_batch_end  # what it saves ends a block
    hooks = OF_A_BATCH[:1] if saves else OF_A_BATCH
    return any(is_overridden(name, callback, Callback) for name in hooks)


def _is_own(model: "LitModel", name: str) -> bool:
    """Whether the model's class, or the model alone, has another method than ``LitModel``."""
    from lit_models.base import LitModel  # which imports this module

    return name in vars(model) or getattr(type(model), name) is not getattr(LitModel, name)
