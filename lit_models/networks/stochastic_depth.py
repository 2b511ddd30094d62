"""Stochastic depth: in training a row skips a residual block at random (Huang et al. 2016)."""

from torch import Tensor, nn


class StochasticDepth(nn.Module):
    """Drops a row of a residual block's output with probability p, or divides it by the probability to keep it.

    This keeps the mean, so that it is the identity in evaluation; the paper multiplies there instead. A row is dropped
    with all its steps, channels and positions, as in torchvision's ``mode="row"``. At 0 no random number is drawn.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, added: Tensor) -> Tensor:
        """(N, ...) -> the same shape."""
        if not self.training or self.p == 0:
            return added
        keep = added.new_empty(len(added), *[1] * (added.dim() - 1)).bernoulli_(1 - self.p)
        return added * (keep / (1 - self.p))


def by_depth(p: float, num_blocks: int) -> list[float]:
    """Returns each block's probability of being dropped: l / L * p for the l-th of L (equation 4 of the paper)."""
    if not 0 <= p < 1:
        raise ValueError(f"stochastic_depth must be at least 0 and below 1, and it is {p}")
    return [p * (block + 1) / num_blocks for block in range(num_blocks)]
