"""Class weights of a loss, computed from the number of train rows of each class."""

from typing import Any

import torch
from torch import Tensor, nn

from lit_models.errors import ConfigError


class ClassWeights:
    """Makes all classes count equally in the losses of torch that take weights, which a checkpoint then contains.

    Cross entropy and the multi-class margin get n / (K * rows of the class), scikit-learn's "balanced". Binary cross
    entropy gets rows without / rows with each label, as its ``pos_weight``. In the first case the mean weight over rows
    is 1, so that the learning rate keeps its meaning.
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
        setattr(loss, self.name, torch.ones(num_outputs))  # filled by fit, once the data are loaded

    def fit(self, data: Any) -> None:
        """Sets the weights from the ``class_counts()`` of a data module.

        They are the train rows of each class (K,), or those without and with each label (L, 2). Raises ``ConfigError``
        for data without them.
        """
        if not hasattr(data, "class_counts"):
            noun = "data loaders alone have" if data is None else f"{type(data).__name__} has"
            raise ConfigError(
                f"class_weights need the train rows of each class, and {noun} no class_counts(); leave them out, or "
                f"give the loss its {self.name}"
            )
        counts: Tensor = data.class_counts()
        if self.name == "pos_weight":
            without, having = counts.double().view(-1, 2).T
            weights = without / having
        else:
            weights = counts.sum() / (len(counts) * counts.double())
        getattr(self.loss, self.name).copy_(weights)
