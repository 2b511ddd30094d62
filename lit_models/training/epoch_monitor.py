"""Values logged once per epoch of training: loss, learning rate, throughput, gradient norm and memory."""

import sys
import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import FSDPStrategy
from torch import Tensor, distributed, nn
from torch.optim import Optimizer
from typing_extensions import override

from lit_models.distributed.gather import gathered
from lit_models.internals.torch_parts import unscales_gradients

KEY = "epoch_so_far"  # key of a checkpoint that holds the sums of the epoch in which it was saved


class EpochMonitor(Callback):
    """Logs the epoch's mean loss over rows, learning rate, rows per second, last gradient norm and peak memory."""

    block_by_block = True  # it acts at an epoch's last step, which no multi-step block hides

    def __init__(self) -> None:
        self._loss_sum, self._rows, self._started = torch.zeros(()), 0, 0.0
        self._gradient_norm: Tensor | None = None

    def add(self, loss: Tensor, rows: int) -> None:
        """Adds the mean loss of a batch with so many rows."""
        if self._loss_sum.device != loss.device:  # the sum of a checkpoint, or of a search that runs no callbacks
            self._loss_sum = self._loss_sum.to(loss.device)
        self._loss_sum.add_(loss, alpha=rows)
        self._rows += rows

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._loss_sum, self._rows = torch.zeros((), device=pl_module.device), 0
        self._started = time.perf_counter()
        self._gradient_norm = None

    @override
    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        if not trainer.is_last_batch:
            return
        # Unknown if 16-mixed still scales the gradients here, or if a process has only a shard of them.
        scaled = trainer.precision == "16-mixed" and unscales_gradients(optimizer)
        if not scaled and not isinstance(trainer.strategy, FSDPStrategy):
            gradients = [parameter.grad for parameter in pl_module.parameters() if parameter.grad is not None]
            self._gradient_norm = nn.utils.get_total_norm(gradients)

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        seconds = time.perf_counter() - self._started
        sums = torch.stack([self._loss_sum, self._loss_sum.new_tensor(float(self._rows))])
        loss, rows = trainer.strategy.reduce(sums, reduce_op="sum").tolist()
        values = {"train/rows_per_second": rows / seconds}
        groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
        if groups and "lr" in groups[0]:  # an optimizer of the user's own may have no rate
            values = {"train/lr": groups[0]["lr"], **values}
        if rows:  # a step of manual optimization may return no loss
            values["train/loss"] = loss / rows
        values["train/memory_mib"] = peak_memory(pl_module.device)
        if self._gradient_norm is not None:  # max_steps may end training before the epoch's last step
            values["train/gradient_norm"] = float(self._gradient_norm)
        pl_module.log_dict(values)

    @override
    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        sums = torch.tensor([float(self._loss_sum), self._rows], dtype=torch.float64)
        # After a fit the module is on the CPU, from where NCCL gathers nothing.
        loss_sum, rows = gathered(sums, trainer.strategy.root_device).unbind(dim=1)
        seconds = time.perf_counter() - self._started
        checkpoint[KEY] = {"loss_sum": loss_sum.float(), "rows": rows.long(), "seconds": seconds}

    @override
    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if (saved := checkpoint.get(KEY)) is not None:
            # Each of as many processes as before continues its own sums; fewer processes share the others' too.
            count = distributed.get_world_size() if distributed.is_initialized() else 1
            ranks = slice(trainer.global_rank, None, count)
            sums = (torch.as_tensor(saved[name]).reshape(-1)[ranks].sum() for name in ("loss_sum", "rows"))
            self._loss_sum, self._rows = next(sums), int(next(sums))
            self._started = time.perf_counter() - saved["seconds"]


def peak_memory(device: torch.device) -> float:
    """Returns the peak memory in MiB: allocated on a CUDA device, else resident in this process; NaN on Windows."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        import resource
    except ImportError:
        return torch.nan
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
