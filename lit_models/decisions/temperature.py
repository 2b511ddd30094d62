"""Temperature scaling: one number that divides all logits (Guo, Pleiss, Sun & Weinberger 2017, "On Calibration")."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

LOWEST, HIGHEST = 0.05, 20.0
"""Range of a temperature."""

MIN_ERRORS = 5
"""Wrong validation rows below which the temperature is kept at 1: with none, the best one is 0."""

LogLoss = Callable[[Tensor], Tensor]
"""Function from logits (N, K) to their mean negative log-likelihood."""


def fit_temperature(logits: Tensor, log_loss: LogLoss) -> float:
    """Returns the temperature, in [.05, 20], that minimizes the log loss of logits (N, K) divided by it.

    It is found by L-BFGS over its logarithm. The log loss is convex in the inverse of the temperature, so that there is
    one minimum. Returns 1 unless the log loss gets lower than that of the logits themselves.
    """
    with torch.inference_mode(False), torch.enable_grad():
        logits = logits.detach().cpu().double().clone()  # a validation's are inference tensors, without gradients
        logarithm = torch.zeros((), dtype=torch.float64, requires_grad=True)
        low, high = math.log(LOWEST), math.log(HIGHEST)
        optimizer = torch.optim.LBFGS(
            [logarithm], max_iter=100, tolerance_grad=1e-10, tolerance_change=1e-12, line_search_fn="strong_wolfe"
        )

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = log_loss(logits / logarithm.clamp(low, high).exp())
            loss.backward()
            return loss

        optimizer.step(closure)
        temperature = min(max(math.exp(min(max(float(logarithm.detach()), low), high)), LOWEST), HIGHEST)
        return temperature if float(log_loss(logits / temperature)) < float(log_loss(logits)) else 1.0
