"""The recurrent network: LSTM (Hochreiter & Schmidhuber 1997) or GRU (Cho et al. 2014)."""

from typing import Literal

from torch import Tensor, nn


class RNN(nn.Module):
    """Recurrent layers in one or two directions, the mean of their states over time, and a head.

    Args:
        in_features: Features of one time step.
        out_features: Number of outputs.
        cell: ``lstm`` or ``gru``.
        hidden: Size of the state of one direction.
        num_layers: Recurrent layers on top of each other.
        bidirectional: Read the sequence also from its end.
        dropout: Probability of zeroing a state between layers and ahead of the head, in [0, 1).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        cell: Literal["lstm", "gru"] = "lstm",
        hidden: int = 128,
        num_layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.recurrent = {"lstm": nn.LSTM, "gru": nn.GRU}[cell](
            in_features,
            hidden,
            num_layers,
            batch_first=True,
            bidirectional=bidirectional,
            dropout=dropout if num_layers > 1 else 0.0,  # torch warns where there is no layer in between
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden * (2 if bidirectional else 1), out_features)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, in_features) -> (N, out_features)."""
        states, _ = self.recurrent(x)
        outputs: Tensor = self.head(self.dropout(states.mean(dim=1)))
        return outputs
