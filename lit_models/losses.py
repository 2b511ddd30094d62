"""Losses that torch lacks, used like any loss of ``torch.nn``."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class FocalLoss(nn.Module):
    """Cross entropy with less weight on rows already predicted well (Lin et al. 2017, "Focal loss", eq. 4 and 5).

    Softmax over classes where targets are class indices, sigmoid per output where they are floats.

    Args:
        gamma: How fast the weight of easy rows falls, at least 0; 0 is plain cross entropy.
        alpha: Weight in [0, 1] of positives against ``1 - alpha`` of negatives, for sigmoid targets only; no weights
            if it is left out.
    """

    def __init__(self, gamma: float = 2.0, alpha: float | None = None) -> None:
        super().__init__()
        if gamma < 0:
            raise ValueError(f"FocalLoss's gamma must be at least 0, and it is {gamma}")
        if alpha is not None and not 0 <= alpha <= 1:
            raise ValueError(f"FocalLoss's alpha must be in [0, 1], and it is {alpha}")
        self.gamma, self.alpha = gamma, alpha

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Logits (N, K) with class indices (N,), or both of one shape with float targets -> the mean loss."""
        if target.is_floating_point():
            entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
            wrong = torch.sigmoid(torch.where(target > 0.5, -logits, logits))
            if self.alpha is not None:
                entropy = entropy * torch.where(target > 0.5, self.alpha, 1 - self.alpha)
        else:
            if self.alpha is not None:
                raise ValueError("FocalLoss's alpha weighs positives against negatives; leave it out for classes")
            entropy = functional.cross_entropy(logits, target, reduction="none")
            wrong = -torch.expm1(-entropy)
        # Below gamma 1 the power is infinitely steep at 0: a row predicted perfectly would make gradients NaN.
        return (wrong.clamp_min(torch.finfo(wrong.dtype).tiny) ** self.gamma * entropy).mean()


class SoftTargetCrossEntropy(nn.Module):
    """Cross entropy against a distribution over classes, as mixup or distillation give (Hinton et al. 2015, eq. 2).

    Args:
        temperature: Divides the logits, above 0; its square multiplies the loss, so that gradients keep their scale.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"SoftTargetCrossEntropy's temperature must be above 0, and it is {temperature}")
        self.temperature = temperature

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Logits (N, K) with probabilities (N, K), or class indices (N,) for one-hot ones -> the mean loss."""
        if not target.is_floating_point():
            target = functional.one_hot(target, logits.shape[1]).to(logits.dtype)
        log_probability = functional.log_softmax(logits / self.temperature, dim=1)
        return -(target * log_probability).sum(dim=1).mean() * self.temperature**2


class QuantileLoss(nn.Module):
    """Pinball loss, which a quantile of the target minimizes (Koenker & Bassett 1978, "Regression Quantiles").

    Args:
        quantile: Quantile to predict, above 0 and below 1: .9 is exceeded by a tenth of the rows. .5 is the median.
    """

    ranks_epochs = True  # in place of the task's metric, which is about the mean

    def __init__(self, quantile: float = 0.5) -> None:
        super().__init__()
        if not 0 < quantile < 1:
            raise ValueError(f"QuantileLoss's quantile must be above 0 and below 1, and it is {quantile}")
        self.quantile = quantile

    @property
    def notes(self) -> list[str]:
        """A sentence for the record on what is predicted."""
        return [
            f"predictions are the quantile {self.quantile:g} of the target: the loss, in standard deviations of the "
            "target, says how good they are, while rmse, mae and r2 measure how far a quantile is from the target"
        ]

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Outputs and targets (N, R) -> the mean loss."""
        error = target - outputs
        return torch.maximum(self.quantile * error, (self.quantile - 1) * error).mean()
