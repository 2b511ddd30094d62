"""torchmetrics, exact, and undefined (NaN) where a number would be made up.

torchmetrics answers 0.0 for the AUROC of a class that no row has, and averages it in; its R2 takes any target that
varies by less than 1e-4, in whatever unit, for a constant. Every metric here takes the probabilities (or values in
the target's own units) of all evaluated rows in one ``update``; scikit-learn is what the tests compare with.
"""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor
from torchmetrics import MeanSquaredError, Metric
from torchmetrics.classification import BinaryAUROC, MulticlassAUROC, MultilabelAUROC
from torchmetrics.utilities.data import dim_zero_cat


class _DefinedWhere(Metric):
    """Mixin: the metric's own value where ``defined`` says so of the kept predictions and targets, NaN elsewhere."""

    preds: Any
    target: Any

    @abstractmethod
    def defined(self, preds: Tensor, target: Tensor) -> bool: ...

    def compute(self) -> Tensor:
        if not self.defined(dim_zero_cat(self.preds), dim_zero_cat(self.target)):
            return torch.tensor(torch.nan, device=self.device)
        value: Tensor = super().compute()  # type: ignore[safe-super]  # the class that this is mixed into has it
        return value


class ExactBinaryAUROC(_DefinedWhere, BinaryAUROC):  # type: ignore[misc]  # torchmetrics' compute() has a wider type
    """Area under the ROC curve; undefined where only one class is present."""

    def defined(self, preds: Tensor, target: Tensor) -> bool:
        """Whether both classes have a row."""
        return len(target.unique()) == 2


class ExactMulticlassAUROC(_DefinedWhere, MulticlassAUROC):  # type: ignore[misc]
    """Mean over classes of each against the rest; undefined where a class has no row."""

    def defined(self, preds: Tensor, target: Tensor) -> bool:
        """Whether every class has a row."""
        return len(target.unique()) == preds.shape[1]


class ExactMultilabelAUROC(_DefinedWhere, MultilabelAUROC):  # type: ignore[misc]
    """Mean over labels; undefined where a label is on every row, or on none."""

    def defined(self, preds: Tensor, target: Tensor) -> bool:
        """Whether every label is on some rows and not on others."""
        return bool((target != target[:1]).any(dim=0).all())


class RMSE(MeanSquaredError):  # noqa: N818  # no exception
    """Root of the mean squared error of each output, averaged over outputs."""

    def __init__(self, num_outputs: int, **kwargs: Any) -> None:
        super().__init__(squared=False, num_outputs=num_outputs, **kwargs)

    def compute(self) -> Tensor:
        """The mean over outputs, a scalar."""
        return super().compute().mean()


class R2(Metric):
    """Explained share of the variance, averaged over outputs; undefined for a constant target or under two rows."""

    higher_is_better = True
    full_state_update = False
    preds: Any
    target: Any

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("preds", default=[], dist_reduce_fx="cat")
        self.add_state("target", default=[], dist_reduce_fx="cat")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Keep values and targets, both (N, outputs)."""
        self.preds.append(preds)
        self.target.append(target)

    def compute(self) -> Tensor:
        """One minus residual over total sum of squares, in two passes, so that a large mean costs no digits."""
        preds, target = dim_zero_cat(self.preds).double(), dim_zero_cat(self.target).double()
        total = (target - target.mean(dim=0)).square().sum(dim=0)
        if len(target) < 2 or bool((target == target[:1]).all(dim=0).any()):
            return torch.tensor(torch.nan, device=self.device)
        return (1 - (target - preds).square().sum(dim=0) / total).mean()
