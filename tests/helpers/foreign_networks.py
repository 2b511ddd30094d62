"""Networks as packages of others have them: classes and functions that know nothing of Evenhand."""

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class ConvNet(nn.Module):
    """Convolution over a grid of one or two axes, batch norm, dropout and a linear layer."""

    def __init__(self, in_channels: int = 3, num_classes: int = 1000, width: int = 4, axes: int = 2) -> None:
        super().__init__()
        convolution, norm = ((nn.Conv1d, nn.BatchNorm1d), (nn.Conv2d, nn.BatchNorm2d))[axes - 1]
        self.stem = nn.Sequential(convolution(in_channels, width, 3, padding=1), norm(width), nn.ReLU())
        self.drop = nn.Dropout(0.2)
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.drop(self.stem(x).flatten(2).mean(2)))


def create_model(model_name, **kwargs):
    return {"conv2d": ConvNet, "conv1d": lambda **options: ConvNet(axes=1, **options)}[model_name](**kwargs)


class RgbNet(nn.Module):
    """Takes three channels, and has no argument for them."""

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.conv1, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv1(x).mean((2, 3)))


class SevenOutputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.LazyLinear(7)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.flatten(1))


@dataclass
class Output:
    hidden: Tensor
    logits: Tensor


NamedOutput = namedtuple("NamedOutput", ["aux", "logits"])

RETURNED = {
    "tensor": lambda y: y,
    "dict": lambda y: {"loss": None, "logits": y},
    "dataclass": lambda y: Output(y[:, :1], y),
    "namedtuple": lambda y: NamedOutput(None, y),
    "tuple": lambda y: (y, None),
    "other dict": lambda y: {"scores": y, "loss": None},
    "None": lambda y: None,
    "list": lambda y: [1, 2],
    "classes": lambda y: y.argmax(1),
    "one row": lambda y: y[0],
}


class Returns(nn.Module):
    """Linear layer whose outputs come in the form that an option names."""

    def __init__(self, in_features: int, out_features: int, form: str = "tensor") -> None:
        super().__init__()
        self.fc, self.form = nn.Linear(in_features, out_features), form

    def forward(self, x: Tensor) -> Any:
        return RETURNED[self.form](self.fc(x.flatten(1)))


class Features(nn.Module):
    """Features (N, D, T) or, with ``last``, (N, T, D) of a series; (N, D, H, W) of an image."""

    def __init__(self, c_in: int, width: int = 16, last: bool = False, images: bool = False) -> None:
        super().__init__()
        self.layer = (nn.Conv2d if images else nn.Conv1d)(c_in, width, 3, padding=1)
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.layer(x)
        return features.transpose(1, 2) if self.last else features


class Dropped(nn.Module):
    """Features (N, D) of images behind a dropout."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.layer, self.drop = nn.Conv2d(in_channels, 8, 3), nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.layer(x).relu()).flatten(1)


class BagOfTokens(nn.Module):
    """Mean embedding of a text's tokens, by the argument that names its end."""

    def __init__(self, vocab_size: int, padding_idx: int, n_classes: int, ends: str = "attention_mask") -> None:
        super().__init__()
        self.embedding, self.fc = nn.Embedding(vocab_size, 8, padding_idx), nn.Linear(8, n_classes)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        kept = attention_mask.unsqueeze(2).to(self.embedding.weight.dtype)
        return self.fc((self.embedding(input_ids) * kept).sum(1) / kept.sum(1))


class BagByLengths(BagOfTokens):
    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(ids, (torch.arange(ids.shape[1]) < lengths.unsqueeze(1)).long())


class BagByPadding(BagOfTokens):
    def forward(self, mode: str = "x", tokens: Any = None, key_padding_mask: Any = None) -> Tensor:  # type: ignore[override]
        return super().forward(tokens, (~key_padding_mask).long())


class BagWithoutEnds(BagOfTokens):
    """Takes no ends, and sees the padding."""

    def forward(self, ids: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(ids, torch.ones_like(ids))


class Configuration:
    """Options of a network as an object, which takes and keeps any others."""

    def __init__(self, width: int = 8, **kwargs: Any) -> None:
        self.width, self.vocab_size = width, 10
        self._labels = 2
        for name, value in kwargs.items():
            setattr(self, name, value)

    @property
    def num_labels(self) -> int:
        return self._labels

    @num_labels.setter
    def num_labels(self, value: int) -> None:
        self._labels = value


class Configured(nn.Module):
    """Encoder that is described by an object, and returns the hidden state of each token if it has no labels."""

    def __init__(self, config: Configuration) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        self.fc = nn.Linear(config.width, config.num_labels)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> dict[str, Tensor]:
        hidden = self.embedding(input_ids)
        return {"last_hidden_state": hidden, "logits": self.fc(hidden.mean(1))}


class Rejecting(nn.Module):
    def __init__(self, size: int, num_classes: int) -> None:
        super().__init__()
        if size % 2:
            raise ValueError(f"size must be even, got {size}")
        self.fc = nn.Linear(64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.fc(x.flatten(1)))


def returns_nothing(**kwargs: Any) -> None:
    """Is no function that makes a network."""


class NoModule:
    """A class of no nn.Module."""


NUMBER = 3
