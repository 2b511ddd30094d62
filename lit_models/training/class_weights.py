"""Weights of classes in a loss, from how many train rows have each."""

import torch
from torch import Tensor, nn

from lit_models.errors import ConfigError


class ClassWeights:
    """What makes every class count as much as any other, for the losses of torch that take weights.

    Cross entropy and the multi-class margin get n / (K * rows of the class), scikit-learn's "balanced"; binary cross
    entropy gets rows without / rows with each label, as its ``pos_weight``. The mean weight over rows is 1 in the first
    case, so that the learning rate keeps its meaning.

    Args:
        loss: Its weights become part of a checkpoint.
        num_outputs: Classes or labels; 1 for binary.

    Raises:
        ConfigError: For a loss that takes no class weights, or has some already.
    """

    def __init__(self, loss: nn.Module, num_outputs: int) -> None:
        self.loss = loss
        self.name = "pos_weight" if isinstance(loss, nn.BCEWithLogitsLoss) else "weight"
        if not isinstance(loss, nn.CrossEntropyLoss | nn.MultiMarginLoss | nn.BCEWithLogitsLoss):
            raise ConfigError(
                f"class_weights go into CrossEntropyLoss, MultiMarginLoss or BCEWithLogitsLoss, and the loss is "
                f"{type(loss).__name__}; leave them out (--data.sampler balanced draws all classes equally often)"
            )
        if getattr(loss, self.name) is not None:
            raise ConfigError(f"the loss has its own {self.name}; leave that or class_weights out")
        setattr(loss, self.name, torch.ones(num_outputs))  # a buffer of the loss, filled once the data are known

    def learn(self, counts: Tensor) -> None:
        """Take over the train rows of each class (K,), or those without and with each label (L, 2)."""
        if self.name == "pos_weight":
            without, having = counts.double().view(-1, 2).T
            weights = without / having
        else:
            weights = counts.sum() / (len(counts) * counts.double())
        getattr(self.loss, self.name).copy_(weights)
