"""LightningDataModules as repositories have them, which know nothing of Evenhand."""

from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset, random_split


def rows_of(count: int = 200) -> TensorDataset:
    """Series of 16 steps in 3 classes."""
    y = torch.arange(count) % 3
    noise = torch.randn(count, 16, generator=torch.Generator().manual_seed(7))
    x = torch.sin(torch.arange(16) / 16 * (2 + 3 * y.unsqueeze(1))) + 0.5 * noise
    return TensorDataset(x.unsqueeze(1), y)


class Noisy(Dataset):
    """Adds noise from the random numbers of torch, as augmentation does."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        x, y = self.rows[index]
        return x + 0.1 * torch.randn(x.shape), y


class WavesModule(LightningDataModule):
    """An unseeded split in each call of ``setup``, augmentation, and workers."""

    def __init__(self, batch_size: int = 16, workers: int = 0) -> None:
        super().__init__()
        self.batch_size, self.workers = batch_size, workers

    def setup(self, stage: str) -> None:
        self.train, self.val, self.test = random_split(rows_of(), [140, 30, 30])

    def train_dataloader(self) -> Any:
        return DataLoader(Noisy(self.train), self.batch_size, shuffle=True, num_workers=self.workers)

    def val_dataloader(self) -> Any:
        return DataLoader(self.val, 64)

    def test_dataloader(self) -> Any:
        return DataLoader(self.test, 7)


class Tensors(LightningDataModule):
    """Rows that are train and test rows alike.

    Args:
        kind: Kind of targets.
    """

    def __init__(self, kind: str = "multiclass") -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        x = torch.randn(90, 4, generator=draw)
        targets = {
            "multiclass": (x[:, 0] > 0).long() + (x[:, 1] > 0).long(),
            "binary": (x[:, 0] > 0).long(),
            "multilabel": (x[:, :2] > 0).long(),
            "regression": 5000 + 1000 * x[:, :1],
        }
        self.rows = TensorDataset(x, targets[kind])

    def train_dataloader(self) -> Any:
        return DataLoader(self.rows, 30, shuffle=True)

    def test_dataloader(self) -> Any:
        return DataLoader(self.rows, 40)


class Declared(Tensors):
    """Attributes that win."""

    task, class_names = "multiclass", ("low", "high")

    def __init__(self) -> None:
        super().__init__("binary")


class NoTest(LightningDataModule):
    def train_dataloader(self) -> Any:
        return DataLoader(rows_of())


class Shuffled(Tensors):
    def test_dataloader(self) -> Any:
        return DataLoader(Unsteady(self.rows), 40)


class Unsteady(Noisy):
    """Other rows at each reading, whatever the random numbers."""

    count = 0

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        x, y = self.rows[index]
        Unsteady.count += 1
        return x + Unsteady.count, y


class Triples(Tensors):
    def train_dataloader(self) -> Any:
        return DataLoader(TensorDataset(*self.rows.tensors, self.rows.tensors[1]), 30)


class Texts(Tensors):
    vocab_size = 10


class Several(Tensors):
    def train_dataloader(self) -> Any:
        return [super().train_dataloader()]
