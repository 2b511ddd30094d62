"""Divergence: a loss that is no longer finite ends the run before a checkpoint of it replaces a good one."""

import math
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from typing_extensions import override

from experiments.exit_codes import Diverged
from experiments.run.atomic_write import write_json
from lit_models import LitModel

CHECK_EVERY = 50
"""Steps between two checks on an accelerator, where a check waits for the device; a CPU checks every step."""


class Divergence(Callback):
    """Keeps the last losses and row ids, checks them every few steps, and stops at the first that is not finite.

    It writes ``divergence.json`` into the run's folder, and checks each step on a CPU and ``CHECK_EVERY`` elsewhere.
    """

    block_by_block = True

    def __init__(self, folder: Path, every: int | None = None) -> None:
        self.folder = folder
        self.every = every
        self._recent: deque[tuple[Tensor, Any]] = deque()

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.every = self.every or (1 if pl_module.device.type == "cpu" else CHECK_EVERY)
        self._recent.clear()

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        ahead = cast(LitModel, pl_module).multi_step.ahead
        if not isinstance(loss, Tensor) or (self.every == 1 and not ahead and math.isfinite(loss)):
            return
        self._recent.extend(ahead)
        self._recent.append((loss.detach(), batch.get("row") if isinstance(batch, Mapping) else None))
        if len(self._recent) >= (self.every or 1) or trainer.is_last_batch:  # validation clears the gradients
            self._check(trainer, pl_module)

    @override
    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if not trainer.training and not trainer.validating:
            return
        self._check(trainer, pl_module)
        finite = [weight.isfinite().all() for weight in pl_module.parameters() if weight.is_floating_point()]
        if finite and not bool(torch.stack(finite).all()):
            self._stop(trainer, pl_module, None, [], trainer.global_step)

    def _check(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._recent:
            return
        losses = torch.stack([loss.float() for loss, _ in self._recent])
        if not bool(losses.isfinite().all()):
            first = int((~losses.isfinite()).nonzero()[0])
            row = self._recent[first][1]
            rows = row.tolist() if isinstance(row, Tensor) else []
            back = (len(self._recent) - 1 - first) // trainer.accumulate_grad_batches
            self._stop(trainer, pl_module, float(losses[first]), rows, trainer.global_step - back)
        self._recent.clear()

    def _stop(
        self, trainer: Trainer, pl_module: LightningModule, loss: float | None, rows: list[int], step: int
    ) -> None:
        self._recent.clear()
        gradients = {name: weight.grad for name, weight in pl_module.named_parameters() if weight.grad is not None}
        report = {
            "step": step,
            "found_at_step": trainer.global_step,
            "epoch": trainer.current_epoch,
            "loss": None if loss is None else str(loss),  # JSON has no NaN
            "rows": rows,
            "gradient_norms_at_step": trainer.global_step,
            "gradient_norms": {name: str(float(grad.detach().float().norm())) for name, grad in gradients.items()},
        }
        path = self.folder / "divergence.json"
        with suppress(OSError):  # a full disk is no reason to call it anything else
            if trainer.is_global_zero and self.folder.is_dir():
                write_json(path, report)
        reason = "a weight is not finite" if loss is None else f"the loss is {loss}"
        batch = f"the batch is in {path} and the" if path.is_file() else "the"
        raise Diverged(
            f"{reason} at step {step} (epoch {trainer.current_epoch + 1}); {batch} checkpoints are from before it; "
            "lower the learning rate, or set --trainer.gradient_clip_val"
        )
