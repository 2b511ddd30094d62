"""Ensemble of feed-forward networks with shared weights (Gorishniy, Kotelnikov & Babenko, ICLR 2025, "TabM").

Written here, since the authors' ``tabm`` package brings its own tables and categories, and answers with k predictions.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from lit_models.cpu.affine import Affine
from lit_models.cpu.dropout import Dropout


class TabM(nn.Module):
    """TabM-mini: each member scales the inputs by its own weights and has its own head; all layers are shared.

    Options: ``LitTabM``. In training it returns the outputs of each member, in evaluation what ``combine`` makes of
    them.

    Args:
        in_features: Inputs of a row.
        out_features: Outputs of a member.
        combine: Returns outputs (N, out_features) for those of the members (N, members, out_features).
        members: Number of members.
        hidden: Width of each hidden layer.
        dropout: Probability of zeroing a hidden unit.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        combine: Callable[[Tensor], Tensor],
        members: int = 16,
        hidden: Sequence[int] = (256, 256),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.combine = combine
        self.scale = nn.Parameter(torch.randn(members, 1, in_features))
        layers: list[nn.Module] = []
        for width_in, width_out in pairwise((in_features, *hidden)):
            layers += [Affine(width_in, width_out), nn.ReLU(inplace=True), Dropout(dropout)]
        self.layers = nn.Sequential(*layers)
        bound = hidden[-1] ** -0.5
        self.weight = nn.Parameter(torch.empty(members, hidden[-1], out_features).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, out_features).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_features) -> (N, members, out_features) in training, (N, out_features) in evaluation."""
        outputs = torch.baddbmm(self.bias, self.layers(x * self.scale), self.weight).transpose(0, 1)
        return outputs if self.training else self.combine(outputs)
