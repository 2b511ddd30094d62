"""A user's package that is trusted: a data set with every kind of loader, and callbacks that wait or break."""

import os
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from torch.utils.data import DataLoader, Dataset

from datamodules import InMemoryData, Rows
from datamodules.loading.tensor_loader import TensorLoader


class Waves(InMemoryData):
    """200 series of 16 steps in 3 classes.

    Args:
        loader: ``sliced`` is Evenhand's own; ``plain`` is a torch DataLoader as anybody writes it, with noise that its
            workers draw; ``stateful`` is one that knows its place, ordered by seed and epoch.
        workers: Of the loader.
        kwargs: See ``InMemoryData``.
    """

    task = "multiclass"
    modality = "series"
    input_shape = (1, 16)
    num_outputs = 3

    def __init__(self, loader: str = "sliced", workers: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.loader = loader
        self.workers = workers

    def load(self) -> Rows:
        generator = torch.Generator().manual_seed(7)
        y = torch.arange(200) % 3
        time_ = torch.arange(16) / 16
        x = torch.sin(time_ * (2 + 3 * y.unsqueeze(1))) + 0.5 * torch.randn(200, 16, generator=generator)
        return Rows(x.unsqueeze(1), y)

    def train_dataloader(self) -> Any:
        if self.loader == "sliced":
            return super().train_dataloader()
        rows = Noisy(self.part("train"), noise=self.loader == "plain")
        seed = torch.initial_seed()
        if self.loader == "plain":
            generator = torch.Generator().manual_seed(seed)
            return DataLoader(
                rows, self.batch_size, shuffle=True, num_workers=self.workers, generator=generator, drop_last=True
            )
        return Stateful(rows, Order(len(rows), self.batch_size, seed), self.workers)


class Noisy(Dataset):
    def __init__(self, columns: dict[str, torch.Tensor], noise: bool) -> None:
        self.columns = columns
        self.noise = noise

    def __len__(self) -> int:
        return len(self.columns["x"])

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        row = {name: column[index] for name, column in self.columns.items()}
        if self.noise:
            row["x"] = row["x"] + 0.1 * torch.randn(row["x"].shape)
        return row


class Order:
    """A batch sampler: a function of seed and epoch, from a batch on."""

    def __init__(self, rows: int, size: int, seed: int) -> None:
        self.rows, self.size, self.seed = rows, size, seed
        self.epoch = self.skip = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.rows // self.size

    def __iter__(self) -> Any:
        start, self.skip = self.skip, 0
        order = torch.randperm(self.rows, generator=torch.Generator().manual_seed(self.seed + self.epoch))
        for index in range(start, len(self)):
            yield order[index * self.size : (index + 1) * self.size].tolist()


class Stateful(DataLoader):
    """A DataLoader that counts what it handed out, not what its workers fetched ahead."""

    def __init__(self, rows: Noisy, order: Order, workers: int) -> None:
        super().__init__(rows, batch_sampler=order, num_workers=workers, generator=torch.Generator())
        self.consumed = 0

    def set_epoch(self, epoch: int) -> None:
        self.batch_sampler.set_epoch(epoch)

    def __iter__(self) -> Any:
        self.consumed = self.batch_sampler.skip
        for batch in super().__iter__():
            self.consumed += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        return {"consumed": self.consumed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.batch_sampler.skip = state["consumed"]


class Pause(Callback):
    """Writes the file ``reached`` and waits for its death at the moment that the environment names."""

    def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
        self._at(f"start {trainer.global_step}")

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        self._at(f"step {trainer.global_step}")

    def on_validation_start(self, trainer: Any, *_: Any) -> None:
        self._at(f"validation {trainer.current_epoch}")

    def on_train_epoch_end(self, trainer: Any, *_: Any) -> None:
        self._at(f"epoch {trainer.current_epoch}")

    def on_test_start(self, trainer: Any, *_: Any) -> None:
        self._at("test")

    @staticmethod
    def _at(moment: str) -> None:
        if os.environ.get("PAUSE_AT") == moment:
            Path("reached").touch()
            if "GO_ON" in os.environ:
                time.sleep(2 if os.environ["GO_ON"] == "slowly" else 0.2)
            else:
                time.sleep(600)


class NaNAt(Callback):
    """Makes the inputs of one step infinite."""

    def __init__(self, step: int = 5) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, *_: Any) -> None:
        if trainer.global_step == self.step:
            batch["x"].fill_(torch.inf)


class Bug(Callback):
    """A mistake in somebody's code."""

    def on_train_start(self, *_: Any) -> None:
        raise ZeroDivisionError("division by zero")


class Failing(Waves):
    """A loader that breaks at the batch ``BREAK_AT`` of all, between two steps."""

    def train_dataloader(self) -> Any:
        loader = super().train_dataloader()
        return BreaksAt(loader.tensors, loader.batch_size, shuffle=True, seed=loader.seed)


class BreaksAt(TensorLoader):
    def __iter__(self) -> Any:
        for index, batch in enumerate(super().__iter__()):
            if os.environ.get("BREAK_AT") == f"{self.epoch} {index}":
                self._consumed -= 1
                raise OSError("the disk is gone")
            yield batch
