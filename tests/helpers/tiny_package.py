"""A user's own package: data sets, a model, a loss and a callback that the command line is told to trust."""

from typing import Any, ClassVar

import torch
from lightning.pytorch import Callback, LightningDataModule
from torch import nn

from datamodules import InMemoryData, Rows
from lit_models import LitModel


class Tiny(InMemoryData):
    """Sixty rows of four columns, three classes that a line separates."""

    task = "multiclass"
    modality = "table"
    input_shape = (4,)
    num_outputs = 3
    class_names = ("low", "middle", "high")

    def load(self) -> Rows:
        x = torch.linspace(-1, 1, 60).unsqueeze(1) * torch.tensor([[1.0, 2.0, -1.0, 0.5]])
        return Rows(x, torch.arange(60) // 20)


class TinyPlain(LightningDataModule):
    """Data module of Lightning."""


class TinyRegression(InMemoryData):
    """Sixty rows, a target in the thousands."""

    task = "regression"
    modality = "table"
    input_shape = (4,)
    num_outputs = 1

    def load(self) -> Rows:
        rows = Tiny.load(self)  # type: ignore[arg-type]
        return Rows(rows.x, 5000 + 1000 * rows.x[:, 0])


class TinyImbalanced(InMemoryData):
    """Two thousand rows, a tenth of them of a class that overlaps with the other."""

    task = "binary"
    modality = "table"
    input_shape = (2,)
    num_outputs = 1

    def load(self) -> Rows:
        y = (torch.arange(2000) % 10 == 0).long()
        x = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0))
        return Rows(x + y.unsqueeze(1), y)


class TinyWithNaN(Tiny):
    def load(self) -> Rows:
        rows = super().load()
        rows.x[17, 2] = torch.nan
        return rows


class TinyLonelyClass(Tiny):
    num_outputs = 4
    class_names = ("low", "middle", "high", "lonely")

    def load(self) -> Rows:
        rows = super().load()
        rows.y[30] = 3
        return rows


class TinyWrongLabels(Tiny):
    num_outputs = 2
    class_names = ("low", "middle")


class TinyUnequal(Tiny):
    def load(self) -> Rows:
        rows = super().load()
        return Rows(rows.x, rows.y[:50])


class TinyThreeRows(Tiny):
    def load(self) -> Rows:
        rows = super().load()
        return Rows(rows.x[:3], rows.y[:3])


class LitOwn(LitModel):
    def __init__(self, width: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.network = nn.Sequential(nn.Flatten(), nn.LazyLinear(width), nn.Tanh(), nn.LazyLinear(self.num_outputs))
        self.network(torch.zeros(1, *self.input_shape))


class OwnLoss(nn.Module):
    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(logits, target) * 2


class Registered(nn.Module):
    """Wants a keyword of each of its subclasses."""

    names: ClassVar[list[str]] = []

    def __init_subclass__(cls, *, name: str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Registered.names.append(name)


class RegisteredLoss(Registered, name="own"):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.tensor([0.123456789, 1.0, 2.0]))

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(logits, target, self.weight)


class Sealed(type):
    def __new__(cls, name: str, bases: tuple[type, ...], names: dict[str, Any]) -> Any:
        if any(isinstance(base, Sealed) for base in bases):
            raise TypeError("no subclass, please")
        return super().__new__(cls, name, bases, names)


class SealedLoss(nn.CrossEntropyLoss, metaclass=Sealed):
    """Allows no subclass."""


class Stumble(Callback):
    """Raises in the first training step, after looking at what is on disk."""

    def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
        raise RuntimeError("stumbled")


class LogsDepth(Callback):
    """Logs ``val/depth``, 1 in the first epochs, then lower in every epoch from ``falls`` on."""

    def __init__(self, falls: int = 3) -> None:
        self.falls = falls

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        epoch = trainer.current_epoch
        pl_module.log("val/depth", 1.0 if epoch < self.falls else 1.0 / epoch)
