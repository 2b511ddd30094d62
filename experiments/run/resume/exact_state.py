"""Resume bit for bit: what Lightning leaves out of a checkpoint, and how it is put back.

Lightning saves weights, optimizer, schedule, scaler, callbacks and its loops' counters. It forgets the generators of
torch, numpy and python, that early stopping has spoken, and the metrics that a plateau schedule looks at; its epoch-end
checkpoints are taken before that schedule's step. And a run that goes on behind an epoch draws the first batches of
the next one before anybody has told the sampler which epoch it is.
"""

import random
import sys
from typing import Any, cast

import numpy
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler, StochasticWeightAveraging
from lightning.pytorch.loops.loop import _Loop
from lightning.pytorch.trainer.states import TrainerFn
from torch import distributed

from experiments.run.checkpoints.loop_state import batches, can_go_on, epochs, place
from experiments.terminal import say

AT_EPOCH_START = (GradientAccumulationScheduler, StochasticWeightAveraging)
"""Callbacks that set up the Trainer where an epoch starts, which one that is resumed inside does not do again."""

KEY = "evenhand_resume"
"""Under what a checkpoint holds the state."""


class Resume(Callback):
    """Saves and restores what Lightning does not. Has to be the first callback, so that it restores before others draw.

    A checkpoint from between two epochs, whichever hook wrote it, holds Lightning's counters as they are when an epoch
    is over and the next has not begun: the one state in which its loops go on as if nothing had happened.
    """

    block_by_block = True

    def __init__(self) -> None:
        self.loaded: dict[str, Any] | None = None
        self._restored = True
        self._validated = False

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From here to its end, a checkpoint holds half of a validation."""
        self._validated = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Its metrics are logged."""
        self._validated = True

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the state, and bring the counters of an epoch that is over into order."""
        where, batch = place(trainer), batches(trainer)
        stepped = trainer.fit_loop.epoch_loop._batches_that_stepped
        if where != "within an epoch":
            _finish_epoch(checkpoint["loops"]["fit_loop"])
        elif trainer.validating or batch.ready != batch.completed:  # ahead of Lightning's own counting
            stepped += 1
        checkpoint[KEY] = {
            "place": where,
            "can_go_on": can_go_on(trainer, self._validated),
            "rng": _of_all(trainer, rng_state()),
            "accumulate": trainer.accumulate_grad_batches,
            "generators": [generator.get_state() for generator in _generators(trainer)],
            "should_stop": trainer.should_stop,
            "metrics": {name: float(value) for name, value in trainer.callback_metrics.items()},
            "logged_steps": stepped,
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep the state until the loops are ready for it; a test of the best checkpoint has no use for it."""
        if trainer.state.fn == TrainerFn.FITTING:
            self.loaded = checkpoint.get(KEY)
            self._restored = self.loaded is None
            if trainer.is_global_zero and (reason := inexact(checkpoint)):
                say(f"{trainer.ckpt_path} {reason}; what follows is no exact continuation", sys.stderr)
            before = (self.loaded or {}).get("accumulate", trainer.accumulate_grad_batches)
            planned = any(isinstance(one, GradientAccumulationScheduler) for one in cast(Any, trainer).callbacks)
            if before != trainer.accumulate_grad_batches and not planned:
                count = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]
                # A batch may have been processed whose end was still to be counted.
                whole = count["processed"] // before * trainer.accumulate_grad_batches
                open_ = count["processed"] - count["completed"]
                count.update(dict.fromkeys(("ready", "started", "processed"), whole), completed=whole - open_)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Metrics, early stopping, and the plateau schedule's step that the checkpoint was too early for."""
        if self.loaded is None or self._restored:
            part_ways(trainer.global_rank)
            return
        metrics = {name: torch.tensor(value) for name, value in self.loaded["metrics"].items()}
        cast(Any, trainer)._logger_connector._callback_metrics.update(metrics)
        trainer.should_stop = self.loaded["should_stop"]
        if self.loaded["place"] == "within an epoch":
            return
        # From here the epoch starts as any later one does, its iterator made after the sampler knows the epoch.
        cast(Any, _Loop.restarting).fset(trainer.fit_loop, False)
        trainer.fit_loop._resuming_from_checkpoint = False
        for generator, state in zip(_generators(trainer), self.loaded["generators"], strict=False):
            generator.set_state(state)
        if self.loaded["place"] == "epoch end":
            progress = epochs(trainer)
            progress.completed -= 1  # the epoch that the schedule's frequency counts
            trainer.fit_loop.epoch_loop.update_lr_schedulers("epoch", update_plateau_schedulers=True)
            progress.completed += 1

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Between epochs, the generators go back to where they were before anything of the epoch drew from them."""
        self._restore(trainer.global_rank)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Within an epoch, they go back ahead of the first batch."""
        if not self._restored:
            for one in cast(Any, trainer).callbacks:
                if isinstance(one, AT_EPOCH_START):
                    one.on_train_epoch_start(trainer, pl_module)
            self._restore(trainer.global_rank)
            trainer.fit_loop._restarting = False  # or Lightning skips the plateau schedule at the end of this epoch

    def _restore(self, rank: int) -> None:
        if not self._restored and self.loaded is not None:
            states = self.loaded["rng"]
            if rank < len(states):
                set_rng_state(states[rank])
            else:  # a process more than there were
                set_rng_state(states[0])
                part_ways(rank)
            self._restored = True
            self.loaded = None


def inexact(checkpoint: dict[str, Any]) -> str | None:
    """Why a run that goes on from a checkpoint is not the one that was stopped; None where it is, as far as we know."""
    if checkpoint.get(KEY, {}).get("can_go_on", True):
        return None
    return "was saved where no run can go on exactly, as at the last batch of an epoch"


def rng_state() -> dict[str, Any]:
    """The generators of torch, on CPU and every CUDA device, of numpy and of python, as plain values and tensors."""
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
    """Put every generator back to where ``rng_state`` found it; CUDA's only on as many devices."""
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([one.cpu() for one in state["cuda"]])
    keys, position, has_gauss, gauss = state["numpy"]
    numpy.random.set_state(("MT19937", keys.cpu().numpy().astype(numpy.uint32), position, has_gauss, gauss))
    version, internal, gauss_next = state["python"]
    random.setstate((version, tuple(internal), gauss_next))


def part_ways(rank: int) -> None:
    """Move a process's generator on, so that processes drop different units of their rows; the first one's stays.

    Another seed would do on a CPU too, but the order of the rows, which all share, is a function of that seed. A GPU's
    generator counts kernels, not numbers, and does not move on so.
    """
    torch.rand(rank * 1009)
    if rank and torch.cuda.is_available():
        torch.cuda.manual_seed(torch.initial_seed() + rank * 1_000_003)  # not the seed of a run beside it


def _of_all(trainer: Trainer, state: dict[str, Any]) -> list[dict[str, Any]]:
    if trainer.world_size == 1:
        return [state]
    states: list[Any] = [None] * trainer.world_size
    distributed.all_gather_object(states, state)
    return states


def _generators(trainer: Trainer) -> list[torch.Generator]:
    """Those that the training loaders or their samplers were given."""
    combined = trainer.fit_loop._combined_loader
    found: list[torch.Generator] = []
    for loader in combined.flattened if combined is not None else []:
        for owner in (loader, getattr(loader, "sampler", None)):
            generator = getattr(owner, "generator", None)
            if isinstance(generator, torch.Generator) and not any(generator is one for one in found):
                found.append(generator)
    return found


def _finish_epoch(loops: dict[str, Any]) -> None:
    """Counters of an epoch that is over, and no position inside of one."""
    for count in (loops["epoch_progress"]["total"], loops["epoch_progress"]["current"]):
        count.update(dict.fromkeys(("ready", "started", "completed"), count["processed"]))
    loops["state_dict"].pop("combined_loader", None)
