"""Three of torch's schedulers whose length, peak or direction the run fills in."""

from typing import Any, Literal

from torch.optim import Optimizer, lr_scheduler

from lit_models.errors import ConfigError


class CosineAnnealingLR(lr_scheduler.CosineAnnealingLR):
    """torch's cosine schedule, by default over the whole run (Loshchilov & Hutter 2017, without restarts).

    Args:
        optimizer: The optimizer.
        T_max: Number of steps down to ``eta_min``; the run's if it is left out.
        eta_min: The last learning rate.
    """

    def __init__(self, optimizer: Optimizer, T_max: int | None = None, eta_min: float = 0.0) -> None:  # noqa: N803
        if T_max is None:
            raise ConfigError("CosineAnnealingLR needs T_max outside a Schedule, which fills it in")
        super().__init__(optimizer, T_max, eta_min)


class OneCycleLR(lr_scheduler.OneCycleLR):
    """torch's one-cycle schedule, over the run and up to the optimizer's rate by default (Smith & Topin 2018).

    Args:
        optimizer: The optimizer.
        max_lr: Peak of the learning rate; the optimizer's ``lr`` if it is left out.
        total_steps: Number of steps; the run's if it is left out.
        pct_start: Fraction of the steps in which the rate rises, in [0, 1].
        anneal_strategy: Shape of the rise and the fall.
        cycle_momentum: Change momentum (or Adam's first beta) inversely to the learning rate.
        base_momentum: Momentum at the peak.
        max_momentum: Momentum at both ends.
        div_factor: The peak over the first rate.
        final_div_factor: First rate divided by the last.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | None = None,
        total_steps: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
    ) -> None:
        rates = [group["lr"] for group in optimizer.param_groups]  # of layers with rates of their own
        peak = rates if max_lr is None else max_lr
        rest: tuple[Any, ...] = (cycle_momentum, base_momentum, max_momentum, div_factor, final_div_factor)
        super().__init__(optimizer, peak, total_steps, None, None, pct_start, anneal_strategy, *rest)


class ReduceLROnPlateau(lr_scheduler.ReduceLROnPlateau):
    """torch's plateau schedule, whose direction is that of ``Schedule.monitor`` if ``mode`` is left out.

    Args:
        optimizer: The optimizer.
        mode: Whether the metric is best when low (min) or high (max).
        factor: Factor of the learning rate on a plateau, below 1.
        patience: Checks without improvement that are tolerated.
        threshold: The smallest change that counts as improvement.
        threshold_mode: Whether the threshold is relative to the best value or absolute.
        cooldown: Checks to wait after a reduction.
        min_lr: Lowest learning rate.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["min", "max"] | None = None,
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(optimizer, mode or "min", factor, patience, threshold, threshold_mode, cooldown, min_lr)
