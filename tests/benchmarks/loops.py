"""Training as people write it by hand: the plain loop, the usual networks, and the usual template."""

from typing import Any

import lightning.pytorch as pl
import torch
import torchmetrics.classification as tm
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MetricCollection

from datamodules.loading.evaluation_batch_size import rows_at_once

CLASSES = 10


def at_once(x: Tensor) -> int:
    """Rows of an evaluation's batch, as ours takes them."""
    return rows_at_once(x.shape[1:], "series" if x.dim() == 3 else "image", torch.device("cpu"))


class HandWritten:
    """A loop over tensors in memory: train, sum the loss, step the schedule, validate with loss and accuracy.

    Args:
        network: What is trained.
        optimizer: Of it.
        x: Train rows, normalized; y: their classes.
        y: Their classes.
        val: Rows and classes to validate on.
        batch: Rows of a batch.
        epochs: Of the schedule.
        bfloat: Compute in bfloat16 where autocast does.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Optimizer,
        x: Tensor,
        y: Tensor,
        val: tuple[Tensor, Tensor],
        batch: int,
        epochs: int,
        bfloat: bool,
    ) -> None:
        self.network, self.optimizer, self.x, self.y, self.val, self.batch = network, optimizer, x, y, val, batch
        self.schedule = CosineAnnealingLR(optimizer, epochs)
        self.bfloat = bfloat
        self.at_once = max(batch, at_once(x))  # as ours

    def __call__(self) -> None:
        network, optimizer, batch = self.network.train(), self.optimizer, self.batch
        order, total = torch.randperm(len(self.x)), torch.zeros(())
        for first in range(0, len(self.x), batch):
            rows = order[first : first + batch]
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat):
                loss = self.loss(network(self.x[rows]), self.y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(rows)
        self.schedule.step()
        self.validate()

    @staticmethod
    def loss(outputs: Tensor, y: Tensor) -> Tensor:
        """Of a network, or the mean of those of an ensemble's members (N, members, K)."""
        members = outputs.shape[1] if outputs.dim() == 3 else 1
        return functional.cross_entropy(outputs.flatten(0, -2), y.repeat_interleave(members))

    @torch.no_grad()
    def validate(self) -> tuple[float, float]:
        network, (x, y) = self.network.eval(), self.val
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat):
            outputs = torch.cat([network(rows) for rows in x.split(self.at_once)]).float()
        return float(functional.cross_entropy(outputs, y)), float((outputs.argmax(dim=1) == y).float().mean())


class UsualMLP(nn.Sequential):
    """Linear, batch norm, ReLU, dropout; then a head."""

    def __init__(self, features: int, hidden: int) -> None:
        layers = [nn.Linear(features, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(0.1)]
        super().__init__(*layers, nn.Linear(hidden, CLASSES))


class UsualWaves(nn.Module):
    """Sines and cosines of each number, a linear layer for each, ReLU."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.frequency = nn.Parameter(torch.randn(features, 48))
        self.maps = nn.ModuleList(nn.Linear(96, width) for _ in range(features))

    def forward(self, x: Tensor) -> Tensor:
        angle = 2 * torch.pi * x.unsqueeze(2) * self.frequency
        waves = torch.cat([angle.cos(), angle.sin()], dim=2)
        return torch.cat([one(waves[:, index]).relu() for index, one in enumerate(self.maps)], dim=1)


class UsualTabM(nn.Module):
    """Members that scale their inputs, share two layers, and have a head each; in evaluation their mean probability."""

    def __init__(self, features: int, hidden: int, members: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(members, features))
        layers = [[nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(0.1)] for width in (features, hidden)]
        self.layers = nn.Sequential(*layers[0], *layers[1])
        self.heads = nn.ModuleList(nn.Linear(hidden, CLASSES) for _ in range(members))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.layers(x.unsqueeze(1) * self.scale)
        outputs = torch.stack([head(hidden[:, index]) for index, head in enumerate(self.heads)], dim=1)
        return outputs if self.training else outputs.softmax(dim=2).mean(dim=1).log()


class UsualCNN(nn.Sequential):
    """Convolution, batch norm, ReLU, max-pool; then global average pooling, dropout and a head."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        layers: list[nn.Module] = []
        for before, after in zip((1, *channels), channels, strict=False):
            layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after)]
            layers += [nn.ReLU(), nn.MaxPool2d(2)]
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(channels[-1], CLASSES)]
        super().__init__(*layers)


class UsualLSTM(nn.Module):
    """``nn.LSTM``, the mean of its states, dropout and a head."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, hidden, batch_first=True)
        self.head = nn.Sequential(nn.Dropout(0.1), nn.Linear(hidden, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.lstm(x.transpose(1, 2))
        outputs: Tensor = self.head(states.mean(dim=1))
        return outputs


class UsualTransformer(nn.Module):
    """``nn.TransformerEncoder`` behind a linear embedding with learned positions; the mean of its tokens and a head."""

    def __init__(self, features: int, length: int, width: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(features, width)
        self.position = nn.Parameter(torch.randn(1, length, width) * 0.02)
        self.dropout = nn.Dropout(0.1)
        layer = nn.TransformerEncoderLayer(
            width, 4, 4 * width, dropout=0.1, activation="gelu", batch_first=True, norm_first=True
        )
        norm = nn.LayerNorm(width)
        self.encoder = nn.TransformerEncoder(layer, layers, norm, enable_nested_tensor=False)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.dropout(self.embedding(x.transpose(1, 2)) + self.position)
        outputs: Tensor = self.head(self.encoder(tokens).mean(dim=1))
        return outputs


def usual_network(name: str) -> nn.Module:
    """The network of a workload as it is usually written."""
    torch.manual_seed(0)
    match name:
        case "plr":
            return nn.Sequential(UsualWaves(16, 16), UsualMLP(256, 128))
        case "tabm":
            return nn.Sequential(UsualWaves(16, 16), UsualTabM(256, 128, 8))
        case "cnn":
            return UsualCNN((32, 64))
        case "lstm":
            return UsualLSTM(8, 64)
        case "transformer":
            return UsualTransformer(8, 64, 128, 2)
        case _:
            return UsualMLP(64, 128)


class TemplateModule(pl.LightningModule):
    """The LightningModule of many templates: a metric collection by ``forward`` in every step, everything logged."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        metrics = MetricCollection(
            {
                "accuracy": tm.MulticlassAccuracy(CLASSES, average="micro"),
                "precision": tm.MulticlassPrecision(CLASSES),
                "recall": tm.MulticlassRecall(CLASSES),
                "f1": tm.MulticlassF1Score(CLASSES),
                "auroc": tm.MulticlassAUROC(CLASSES),
            }
        )
        self.train_metrics, self.val_metrics = metrics.clone(prefix="train/"), metrics.clone(prefix="val/")

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        outputs = self.network(x)
        loss = HandWritten.loss(outputs, y)
        self.train_metrics(outputs.softmax(dim=-1).view(len(y), -1, CLASSES).mean(dim=1), y)
        self.log("train/loss", loss, on_step=True, on_epoch=True, prog_bar=True)
        self.log_dict(self.train_metrics, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        x, y = batch
        outputs = self.network(x)
        self.val_metrics(outputs.softmax(dim=1), y)
        self.log("val/loss", functional.cross_entropy(outputs, y), prog_bar=True)
        self.log_dict(self.val_metrics)

    def configure_optimizers(self) -> Any:
        optimizer = AdamW(self.parameters())
        return [optimizer], [CosineAnnealingLR(optimizer, 10)]


class Template:
    """An epoch of the template: ``DataLoader(TensorDataset)``, Lightning's defaults, TensorBoard and a checkpoint.

    Args:
        network: What is trained.
        x: Train rows.
        y: Their classes.
        val: Rows and classes to validate on.
        batch: Rows of a batch.
        folder: Where it writes.
    """

    def __init__(
        self, network: nn.Module, x: Tensor, y: Tensor, val: tuple[Tensor, Tensor], batch: int, folder: str
    ) -> None:
        self.folder = folder
        self.train = DataLoader(TensorDataset(x, y), batch, shuffle=True)
        self.val = DataLoader(TensorDataset(*val), batch)
        self.module = TemplateModule(network)

    def __call__(self) -> None:
        trainer = pl.Trainer(
            accelerator="cpu", max_epochs=1, default_root_dir=self.folder, num_sanity_val_steps=0,
            enable_model_summary=False, log_every_n_steps=50,
        )  # fmt: skip
        trainer.fit(self.module, self.train, self.val)
