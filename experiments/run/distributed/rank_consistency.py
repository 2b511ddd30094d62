"""Checks that all processes of a run have equal data, split, statistics, weights and learning rates."""

import hashlib
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from typing_extensions import override

from datamodules import DataModule
from lit_models import ConfigError
from lit_models.distributed.gather import gathered


class RankConsistency(Callback):
    """Compares data, split, statistics and first weights at the start, and learning rates after every epoch.

    Ranks that differ train nonsense without an error. Causes are an unsorted listing of files, another version of a
    library, an unseeded draw, or a plateau schedule that monitors a metric of its rank.
    """

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        # The data are split and fitted; DDP has not yet copied the weights of rank 0 to the others.
        if trainer.world_size == 1 or stage != "fit":
            return
        data: DataModule = trainer.datamodule  # type: ignore[attr-defined]
        statistics = {name: value for name, value in data.state_dict().items() if name not in ("fingerprints", "split")}
        learned = {"statistics of the train rows": statistics, "initial weights": pl_module.state_dict()}
        digests = data.fingerprints() | {name: digest(values) for name, values in learned.items()}
        local = torch.tensor([list(bytes.fromhex(value)) for value in digests.values()], dtype=torch.uint8)
        by_rank = gathered(local, trainer.strategy.root_device)
        for rank, digests_of_rank in enumerate(by_rank):
            for name, first, other in zip(digests, by_rank[0], digests_of_rank, strict=True):
                if not torch.equal(first, other):
                    _stop(trainer, f"rank {rank} has another {name} than rank 0")

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.world_size == 1:
            return
        groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
        local = torch.tensor([float(group["lr"]) for group in groups if "lr" in group])
        by_rank = gathered(local, trainer.strategy.root_device)
        for rank, other in enumerate(by_rank):
            if not torch.equal(other, by_rank[0]):
                rates = [f"{float(values[0]):.3g}" for values in (other, by_rank[0])]
                _stop(trainer, f"rank {rank} has the learning rate {rates[0]} and rank 0 {rates[1]}")

    on_train_end = on_train_epoch_start


def digest(value: Any) -> str:
    """Returns the SHA-256 of nested plain values and tensors."""
    sha = hashlib.sha256()
    _update(sha, value)
    return sha.hexdigest()


def _update(sha: Any, value: Any) -> None:
    if isinstance(value, dict):
        for key in sorted(value, key=str):
            sha.update(str(key).encode())
            _update(sha, value[key])
    elif isinstance(value, list | tuple):
        for item in value:
            _update(sha, item)
    elif isinstance(value, Tensor):
        sha.update(f"{value.dtype}{tuple(value.shape)}".encode())
        sha.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    else:
        sha.update(repr(value).encode())


def _stop(trainer: Trainer, difference: str) -> None:
    if trainer.global_rank:
        raise SystemExit(2)  # rank 0 prints the reason
    raise ConfigError(
        f"the {trainer.world_size} processes differ: {difference}; give all of them the same files, package versions "
        "and seed"
    )
