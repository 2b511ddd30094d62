"""Linear and logistic regression."""

from torch import Tensor, nn


class Linear(nn.Module):
    """One affine map with dropout of its inputs, the baseline of every other architecture."""

    def __init__(self, in_features: int, out_features: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(in_features, out_features)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_features) -> (N, out_features)."""
        outputs: Tensor = self.head(self.dropout(x))
        return outputs
