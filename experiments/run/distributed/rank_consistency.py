"""What has to be equal in all processes of a run, and is looked at before it can do harm."""

import hashlib
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from datamodules import DataModule
from lit_models import ConfigError
from lit_models.distributed.gather import gathered


class Agreement(Callback):
    """Compares data, split, statistics and first weights at the start, and the rates after every epoch.

    Processes that differ train nonsense without a word: an unsorted listing of files, a library of another version, a
    seed that somebody draws, a plateau schedule that watches a number of its own.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """The data are split and fitted; DDP has not yet copied the first process's weights over the others'."""
        if trainer.world_size == 1 or stage != "fit":
            return
        data: DataModule = trainer.datamodule  # type: ignore[attr-defined]
        state = data.state_dict()
        prints = data.fingerprints()
        learned = {name: value for name, value in state.items() if name not in ("fingerprints", "split")}
        _compare(
            trainer,
            {
                "data": prints["data"],
                "split": prints["split"],
                "statistics of the train rows": digest(learned),
                "initial weights": digest(pl_module.state_dict()),
            },
        )

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The epoch before is over, its plateau schedule stepped."""
        self._compare_rates(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ahead of what is saved."""
        self._compare_rates(trainer)

    def _compare_rates(self, trainer: Trainer) -> None:
        if trainer.world_size == 1:
            return
        groups = [group for one in trainer.optimizers for group in one.param_groups]
        mine = torch.tensor([float(group["lr"]) for group in groups])
        everyone = gathered(mine, trainer.strategy.root_device)
        for rank, theirs in enumerate(everyone):
            if not torch.equal(theirs, everyone[0]):
                rates = [f"{float(one[0]):.3g}" for one in (theirs, everyone[0])]
                _stop(trainer, f"rank {rank} has the learning rate {rates[0]} and rank 0 {rates[1]}")


def digest(value: Any) -> str:
    """SHA-256 of plain values and tensors, whatever holds them."""
    sha = hashlib.sha256()
    _update(sha, value)
    return sha.hexdigest()


def _update(sha: Any, value: Any) -> None:
    if isinstance(value, dict):
        for key in sorted(value, key=str):
            sha.update(str(key).encode())
            _update(sha, value[key])
    elif isinstance(value, list | tuple):
        for one in value:
            _update(sha, one)
    elif isinstance(value, Tensor):
        sha.update(f"{value.dtype}{tuple(value.shape)}".encode())
        sha.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    else:
        sha.update(repr(value).encode())


def _compare(trainer: Trainer, digests: dict[str, str]) -> None:
    mine = torch.tensor([list(bytes.fromhex(one)) for one in digests.values()], dtype=torch.uint8)
    everyone = gathered(mine, trainer.strategy.root_device)
    for rank, theirs in enumerate(everyone):
        for name, ours, other in zip(digests, everyone[0], theirs, strict=True):
            if not torch.equal(ours, other):
                _stop(trainer, f"rank {rank} has another {name} than rank 0")


def _stop(trainer: Trainer, what: str) -> None:
    if trainer.global_rank:
        raise SystemExit(2)  # the first process says why
    raise ConfigError(
        f"the {trainer.world_size} processes differ: {what}; give all of them the same files, package versions and seed"
    )
