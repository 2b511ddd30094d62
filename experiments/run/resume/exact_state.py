"""Exact resume: state that Lightning leaves out of a checkpoint.

Lightning saves weights, optimizer, schedule, scaler, callbacks and its loops' counters. It leaves out the random
generators of torch, numpy and python, the decision of early stopping, and the metrics that a plateau schedule monitors;
its epoch-end checkpoints are taken before that schedule's step (PL#18098, PL#19764). A run that resumes after an epoch
draws the first batches of the next one before the sampler has the epoch's number.
"""

import os
import random
import sys
from pathlib import Path
from typing import Any, cast

import numpy
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import (
    EarlyStopping,
    GradientAccumulationScheduler,
    ModelCheckpoint,
    StochasticWeightAveraging,
)
from lightning.pytorch.trainer.states import TrainerFn
from torch import distributed
from typing_extensions import override

from experiments.internals.lightning_private import begin_next_epoch, end_restart, logged_steps
from experiments.run.checkpoints.loop_state import batch_counts, epoch_counts, is_resumable, position, train_loaders
from experiments.run.record.config_diff import Changes
from experiments.terminal import say

AT_EPOCH_START = (GradientAccumulationScheduler, StochasticWeightAveraging)
"""Callbacks that set up the Trainer at an epoch's start, which does not happen if a run resumes inside the epoch."""

KEY = "evenhand_resume"
"""Key of the state in a checkpoint."""

STOPPING = ("trainer.callbacks", "trainer.max_time")
"""Settings that decide anew whether a training that was stopped early goes on."""


class Resume(Callback):
    """Saves and restores what Lightning does not. It has to be the first callback, to restore before others draw.

    A checkpoint between two epochs, whichever hook writes it, has Lightning's counters of a finished epoch without a
    next one: the only state from which its loops continue as if nothing had happened.
    """

    block_by_block = True

    def __init__(self, changes: Changes) -> None:
        self.changes = changes
        self.loaded: dict[str, Any] | None = None  # until it is restored
        self._validated = False

    @override
    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validated = False  # a checkpoint from here to the end has half of a validation

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validated = True

    @override
    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        place, batch = position(trainer), batch_counts(trainer)
        steps = logged_steps(trainer)
        if place != "within an epoch":
            _finish_epoch(checkpoint["loops"]["fit_loop"])
        elif trainer.validating or batch.ready != batch.completed:  # Lightning counts the step later
            steps += 1
        checkpoint[KEY] = {
            "place": place,
            "can_go_on": is_resumable(trainer, self._validated),
            "rng": _of_all_ranks(trainer, rng_state()),
            "accumulate": trainer.accumulate_grad_batches,
            "generators": [generator.get_state() for generator in _generators(trainer)],
            "should_stop": trainer.should_stop,
            "metrics": {name: float(value) for name, value in trainer.callback_metrics.items()},
            "logged_steps": steps,
        }

    @override
    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn != TrainerFn.FITTING:
            return
        for callback in _callbacks(trainer):
            if (state := checkpoint["callbacks"].get(callback.state_key)) is not None:
                adapt(state, callback, Path(str(trainer.ckpt_path)))
        self.loaded = checkpoint.get(KEY)
        if trainer.is_global_zero and (reason := inexact(checkpoint)):
            say(f"{trainer.ckpt_path} {reason}; what follows is no exact continuation", sys.stderr)
        before = (self.loaded or {}).get("accumulate", trainer.accumulate_grad_batches)
        scheduled = any(isinstance(callback, GradientAccumulationScheduler) for callback in _callbacks(trainer))
        if before != trainer.accumulate_grad_batches and not scheduled:
            count = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]
            # The last processed batch may not be completed yet.
            steps = count["processed"] // before * trainer.accumulate_grad_batches
            incomplete = count["processed"] - count["completed"]
            count.update(dict.fromkeys(("ready", "started", "processed"), steps), completed=steps - incomplete)

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.loaded is None:
            part_ways(trainer.global_rank)
            return
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in self.loaded["metrics"].items()})
        if self.loaded["should_stop"] and not self.changes.under(*STOPPING):
            trainer.should_stop = True
        if self.loaded["place"] == "within an epoch":
            return
        begin_next_epoch(trainer)
        for generator, state in zip(_generators(trainer), self.loaded["generators"], strict=False):
            generator.set_state(state)
        if self.loaded["place"] == "epoch end":  # the plateau schedule's step came after the checkpoint
            progress = epoch_counts(trainer)
            progress.completed -= 1  # the epoch that the schedule's frequency counts
            trainer.fit_loop.epoch_loop.update_lr_schedulers("epoch", update_plateau_schedulers=True)
            progress.completed += 1

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._restore(trainer.global_rank)  # before anything of the epoch draws

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self.loaded is not None:  # resumed within an epoch
            for callback in _callbacks(trainer):
                if isinstance(callback, AT_EPOCH_START):
                    callback.on_train_epoch_start(trainer, pl_module)
            self._restore(trainer.global_rank)
            end_restart(trainer)

    def _restore(self, rank: int) -> None:
        if self.loaded is not None:
            states, self.loaded = self.loaded["rng"], None
            set_rng_state(states[rank if rank < len(states) else 0])
            if rank >= len(states):  # more processes than before
                part_ways(rank)


def adapt(state: dict[str, Any], callback: Callback, checkpoint: Path) -> None:
    """Changes the state of a callback in place: typed arguments win, and paths follow a run whose folder was moved.

    Newer checkpoints than this one are of a killed session. This session saves them again, by the same names, where
    Lightning would add a version.
    """
    if isinstance(callback, EarlyStopping):
        state["patience"] = callback.patience
    if not isinstance(callback, ModelCheckpoint) or callback.dirpath is None:
        return
    old, new = str(state.get("dirpath")), str(callback.dirpath)
    if checkpoint.resolve().parent != Path(new).resolve():  # a new run keeps no files of another one
        return
    saved, exists = checkpoint.stat().st_mtime_ns, callback.file_exists
    newer = {str(path) for path in Path(new).glob("*.ckpt") if path.stat().st_mtime_ns > saved}

    def file_exists(filepath: str | Path, trainer: Trainer) -> bool:
        if str(filepath) in newer:
            newer.remove(str(filepath))  # the next save of this name is another one
            return False
        return exists(filepath, trainer)

    callback.file_exists = file_exists  # type: ignore[method-assign]

    def moved(path: str) -> str:
        return new + path.removeprefix(old) if path.startswith(old + os.sep) else path

    state["dirpath"] = new
    state.update({name: moved(state[name]) for name in state if name.endswith("_model_path")})
    state["best_k_models"] = {moved(path): score for path, score in state["best_k_models"].items()}


def inexact(checkpoint: dict[str, Any]) -> str | None:
    """Returns why a run resumed from a checkpoint is not exactly the interrupted run, or None if it is."""
    if checkpoint.get(KEY, {}).get("can_go_on", True):
        return None
    return "was saved where no run can go on exactly, as at the last batch of an epoch"


def rng_state() -> dict[str, Any]:
    """Returns the generators of torch, on CPU and all CUDA devices, numpy and python as plain values and tensors."""
    _, keys, position, has_gauss, gauss = numpy.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": (
            torch.from_numpy(numpy.asarray(keys).astype(numpy.int64)),
            int(position),
            int(has_gauss),
            float(gauss),
        ),
        "python": random.getstate(),
    }


def set_rng_state(state: dict[str, Any]) -> None:
    """Restores the generators from ``rng_state``; CUDA's only on an equal number of devices."""
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([generator.cpu() for generator in state["cuda"]])
    keys, position, has_gauss, gauss = state["numpy"]
    numpy.random.set_state(("MT19937", keys.cpu().numpy().astype(numpy.uint32), position, has_gauss, gauss))
    version, internal, gauss_next = state["python"]
    random.setstate((version, tuple(internal), gauss_next))


def part_ways(rank: int) -> None:
    """Advances the generator of a rank above 0, so that ranks draw different dropout masks.

    The common order of the rows is a function of the seed, which stays. A GPU's generator counts kernels, not numbers,
    and cannot be advanced.
    """
    torch.rand(rank * 1009)
    if rank and torch.cuda.is_available():
        torch.cuda.manual_seed(torch.initial_seed() + rank * 1_000_003)  # unlike the seed of a neighbouring run


def _of_all_ranks(trainer: Trainer, state: dict[str, Any]) -> list[dict[str, Any]]:
    states: list[Any] = [state] * trainer.world_size
    if trainer.world_size > 1:
        distributed.all_gather_object(states, state)
    return states


def _callbacks(trainer: Trainer) -> list[Callback]:
    callbacks: list[Callback] = cast(Any, trainer).callbacks  # set from another class
    return callbacks


def _generators(trainer: Trainer) -> list[torch.Generator]:
    """Returns the generators of the training loaders and their samplers, each once."""
    owners = [owner for loader in train_loaders(trainer) for owner in (loader, getattr(loader, "sampler", None))]
    generators = {id(generator): generator for owner in owners if (generator := getattr(owner, "generator", None))}
    return [generator for generator in generators.values() if isinstance(generator, torch.Generator)]


def _finish_epoch(loops: dict[str, Any]) -> None:
    """Sets the counters of a checkpoint to a finished epoch without a position in the next one."""
    for count in (loops["epoch_progress"]["total"], loops["epoch_progress"]["current"]):
        count.update(dict.fromkeys(("ready", "started", "completed"), count["processed"]))
    loops["state_dict"].pop("combined_loader", None)
