"""The feed-forward network."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from lit_models.cpu.affine import Affine
from lit_models.cpu.dropout import Dropout
from lit_models.networks.norms import Norm, make_norm, needs_bias


class MLP(nn.Module):
    """Layers of affine map, norm, ReLU and dropout, then an affine head (options: ``LitMLP``).

    The ReLU writes into its input, which saves a copy per layer. A forward hook on the norm therefore sees the ReLU's
    output, and torch allows no full backward hooks on either.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hidden: Sequence[int] = (256, 256),
        dropout: float = 0.1,
        norm: Norm = "batch",
        input_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.input_dropout = Dropout(input_dropout) if input_dropout else None
        layers: list[nn.Module] = []
        for width_in, width_out in pairwise((in_features, *hidden)):
            layers += [Affine(width_in, width_out, bias=needs_bias(norm)), make_norm(norm, width_out, dims=0)]
            layers += [nn.ReLU(inplace=True), Dropout(dropout)]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(hidden[-1], out_features)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_features) -> (N, out_features)."""
        if self.input_dropout is not None:
            x = self.input_dropout(x)
        outputs: Tensor = self.head(self.layers(x))
        return outputs
