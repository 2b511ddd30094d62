"""Other ways to train a torch network, where they are installed: skorch, Keras 3 on torch, fastai."""

import importlib.metadata
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Train = Callable[[], None]


def skorch(network: nn.Module, x: Tensor, y: Tensor, val: tuple[Tensor, Tensor], batch: int) -> Train:
    """skorch's classifier with its defaults, validating on the given rows."""
    from skorch import NeuralNetClassifier
    from skorch.dataset import Dataset
    from skorch.helper import predefined_split

    net = NeuralNetClassifier(
        network, criterion=nn.CrossEntropyLoss, optimizer=torch.optim.AdamW, optimizer__fused=True, batch_size=batch,
        max_epochs=1, iterator_train__shuffle=True, train_split=predefined_split(Dataset(*val)), verbose=0,
    )  # fmt: skip
    net.initialize()

    def train() -> None:
        net.partial_fit(x, y)

    return train


def keras(shape: tuple[int, ...], x: Tensor, y: Tensor, val: tuple[Tensor, Tensor], batch: int) -> Train:
    """Keras's own layers of the same MLP, compiled with its defaults."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras as k

    layers = k.layers
    body = [layers.Dense(128, use_bias=False), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.1)]
    model: Any = k.Sequential([k.Input(shape), *body, layers.Dense(10)])
    loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=k.optimizers.AdamW(), loss=loss, metrics=["accuracy"])
    arrays = [one.numpy() for one in (x, y, *val)]

    def train() -> None:
        model.fit(arrays[0], arrays[1], batch, epochs=1, validation_data=tuple(arrays[2:]), verbose=0)

    return train


def fastai(network: nn.Module, x: Tensor, y: Tensor, val: tuple[Tensor, Tensor], batch: int) -> Train:
    """fastai's Learner over its DataLoaders."""
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner
    from fastai.metrics import accuracy
    from torch.utils.data import DataLoader, TensorDataset

    loaders = DataLoaders(DataLoader(TensorDataset(x, y), batch, shuffle=True), DataLoader(TensorDataset(*val), batch))
    learner = Learner(loaders, network, loss_func=nn.CrossEntropyLoss(), metrics=accuracy)

    def train() -> None:
        with learner.no_bar(), learner.no_logging():
            learner.fit(1)

    return train


def version(package: str) -> str | None:
    """The installed version of a package, None where there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
