"""The recurrent network: LSTM (Hochreiter & Schmidhuber 1997) or GRU (Cho et al. 2014)."""

from typing import Literal

import torch
from torch import Tensor, nn

from lit_models.cpu.cpu_features import has_bfloat16
from lit_models.networks.padding import is_padding, masked_mean, reverse

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU}


class RecurrentLayer(nn.Module):
    """``nn.LSTM`` or ``nn.GRU`` in one or two directions, without packed sequences, which cannot be exported.

    In padded sequences the backward direction starts at each one's own last step, as it would in packed ones.
    """

    def __init__(self, in_features: int, cell: Literal["lstm", "gru"], hidden: int, bidirectional: bool) -> None:
        super().__init__()
        self.ahead = CELLS[cell](in_features, hidden, batch_first=True)
        self.back = CELLS[cell](in_features, hidden, batch_first=True) if bidirectional else None

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, T, in_features) -> the states of all steps (N, T, hidden * directions)."""
        ahead = states(self.ahead, x)
        if self.back is None:
            return ahead
        return torch.cat([ahead, reverse(states(self.back, reverse(x, lengths)), lengths)], dim=2)


def states(cell: nn.RNNBase, x: Tensor) -> Tensor:
    """(N, T, in_features) -> the states of all steps (N, T, hidden), under autocast in bfloat16 if supported.

    On a processor without bfloat16 a GRU takes seven times as long, and an LSTM fails in oneDNN (torch 2.13).
    """
    if x.device.type == "cpu" and torch.is_autocast_enabled("cpu") and not has_bfloat16():
        with torch.autocast("cpu", enabled=False):
            outputs: Tensor = cell(x.float())[0]
    else:
        outputs = cell(x)[0]
    return outputs


class RNN(nn.Module):
    """Recurrent layers in one or two directions, the mean of their states over time, a head (options: ``LitRNN``)."""

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
        states = hidden * (2 if bidirectional else 1)
        widths = [in_features] + [states] * (num_layers - 1)
        self.layers = nn.ModuleList(RecurrentLayer(width, cell, hidden, bidirectional) for width in widths)
        self.between, self.dropout = nn.Dropout(dropout), nn.Dropout(dropout)
        self.head = nn.Linear(states, out_features)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, T, in_features), where row n has ``lengths[n]`` steps before its padding -> (N, out_features)."""
        padding = None if lengths is None else is_padding(lengths, x.shape[1])
        if padding is not None:
            x = x.masked_fill(padding.unsqueeze(2), 0.0)
        for index, layer in enumerate(self.layers):
            x = layer(self.between(x) if index else x, lengths)
        outputs: Tensor = self.head(self.dropout(masked_mean(x, padding)))
        return outputs
