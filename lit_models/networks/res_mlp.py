"""The feed-forward network of residual blocks (Gorishniy et al. 2021, "ResNet" in their section 3.2)."""

from torch import Tensor, nn

from lit_models.cpu.affine import Affine
from lit_models.cpu.dropout import Dropout
from lit_models.networks.stochastic_depth import StochasticDepth, by_depth


class ResidualLayers(nn.Module):
    """Batch norm, affine map, ReLU, dropout, affine map and dropout, added to the input.

    The ReLU writes into its input, which matters to hooks (see ``MLP``).
    """

    def __init__(
        self, width: int, inner: int, dropout: float, residual_dropout: float, stochastic_depth: float
    ) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.expand = Affine(width, inner)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = Dropout(dropout)
        self.contract = Affine(inner, width)
        self.residual_dropout = Dropout(residual_dropout)
        self.stochastic_depth = StochasticDepth(stochastic_depth)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width) -> (N, width)."""
        added = self.contract(self.dropout(self.relu(self.expand(self.norm(x)))))
        outputs: Tensor = x + self.stochastic_depth(self.residual_dropout(added))
        return outputs


class ResMLP(nn.Module):
    """An affine map to ``width``, residual blocks, batch norm, ReLU and an affine head (options: ``LitResMLP``)."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        width: int = 192,
        num_blocks: int = 2,
        expansion: float = 2.0,
        dropout: float = 0.2,
        residual_dropout: float = 0.0,
        stochastic_depth: float = 0.0,
    ) -> None:
        super().__init__()
        self.stem = nn.Linear(in_features, width)
        self.blocks = nn.Sequential(
            *(
                ResidualLayers(width, round(width * expansion), dropout, residual_dropout, skipped)
                for skipped in by_depth(stochastic_depth, num_blocks)
            )
        )
        self.norm = nn.BatchNorm1d(width)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(width, out_features)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_features) -> (N, out_features)."""
        outputs: Tensor = self.head(self.relu(self.norm(self.blocks(self.stem(x)))))
        return outputs
