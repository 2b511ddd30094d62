"""LightningModules as repositories have them, which know nothing of Evenhand."""

from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.classification import MulticlassAccuracy


class ConvModule(LightningModule):
    """Series of any number of channels; a schedule over the whole run, dropout and batch norm."""

    def __init__(self, in_channels, num_classes, width: int = 4, lr: float = 1e-2):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nn.Conv1d(in_channels, width, 3), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.2),
            nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(width, num_classes),
        )  # fmt: skip
        self.val_accuracy = MulticlassAccuracy(num_classes, average="micro")

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = functional.cross_entropy(self(x), y)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        x, y = batch
        logits = self(x)
        self.val_accuracy(logits, y)
        self.log("val_accuracy", self.val_accuracy)
        self.log("val_loss", functional.cross_entropy(logits, y))

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.hparams.lr)
        steps = self.trainer.estimated_stepping_batches
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.hparams.lr, total_steps=steps)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


class Linear(LightningModule):
    """A linear layer with the same weights wherever it is made; the subclasses are variations.

    Args:
        in_features: Numbers of a row.
        num_classes: Classes.
        lr: Learning rate.
    """

    def __init__(self, in_features: int, num_classes: int, lr: float = 0.1) -> None:
        super().__init__()
        self.lr = lr
        generator = torch.Generator().manual_seed(0)
        self.layer = nn.Linear(in_features, num_classes)
        self.layer.weight.data = torch.randn(num_classes, in_features, generator=generator)
        self.layer.bias.data.zero_()

    def forward(self, x: Tensor) -> Any:
        return self.layer(x)

    def training_step(self, batch: Any) -> Any:
        x, y = batch
        return functional.cross_entropy(self(x), y)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), self.lr)


class Flat(Linear):
    """Returns one number for each row (N,); the target has the same shape."""

    def __init__(self, in_features: int, lr: float = 0.1) -> None:
        super().__init__(in_features, 1, lr)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).squeeze(1)

    def training_step(self, batch: Any) -> Tensor:
        x, y = batch
        assert y.shape == (len(x),)
        return functional.mse_loss(self(x), y)


class Manual(Linear):
    """Steps its optimizer itself, and returns nothing; every hook leaves a trace."""

    def __init__(self, in_features: int, num_classes: int) -> None:
        super().__init__(in_features, num_classes)
        self.automatic_optimization = False
        self.hooks: list[str] = []

    def training_step(self, batch: Any) -> None:
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(super().training_step(batch))
        optimizer.step()

    def on_train_epoch_start(self) -> None:
        self.hooks.append("epoch")

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        x, y = batch
        self.hooks.append("batch")
        assert len(x) == len(y)

    def on_validation_epoch_end(self) -> None:
        self.log("val_depth", float(len(self.hooks)))

    def train_dataloader(self) -> Any:
        raise AssertionError("the data are those of --data")


class WithLengths(LightningModule):
    """Mean of a padded series over its own steps; its batches have the lengths behind the targets."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(in_channels, num_classes)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        inside = torch.arange(x.shape[2], device=x.device) < lengths.unsqueeze(1)
        return self.layer((x * inside.unsqueeze(1)).sum(2) / lengths.unsqueeze(1))

    def training_step(self, batch: Any) -> Tensor:
        x, y, lengths = batch
        return functional.cross_entropy(self(x, lengths), y)

    def configure_optimizers(self) -> Any:
        return torch.optim.AdamW(self.parameters(), 1e-2)


class Softmax(Linear):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).softmax(1)


class NoForward(LightningModule):
    def training_step(self, batch: Any) -> None:
        """Does nothing."""

    def configure_optimizers(self) -> None:
        """Makes nothing."""


class NoSteps(LightningModule):
    def forward(self, x: Tensor) -> Tensor:
        return x


class NoOptimizer(Linear):
    def configure_optimizers(self) -> None:
        """Makes nothing."""


class Nothing(Linear):
    def forward(self, x: Tensor) -> None:
        """Returns nothing."""


class WithoutRate(Linear):
    """Its optimizer has no learning rate."""

    class Halving(torch.optim.Optimizer):
        def __init__(self, parameters):
            super().__init__(parameters, {})

        def step(self, closure=None):
            loss = closure() if closure is not None else None
            with torch.no_grad():
                for group in self.param_groups:
                    for parameter in group["params"]:
                        parameter.mul_(0.5)
            return loss

    def configure_optimizers(self):
        return self.Halving(self.parameters())
