"""The recurrent network as a LightningModule."""

from typing import Any, Literal

from lit_models.base import LitModel
from lit_models.networks import RNN
from lit_models.stems.stem import Stemmed, to_sequence


class LitRNN(LitModel):
    """LSTM or GRU over the steps of a series, rows of an image, columns of a table or tokens of a text.

    Args:
        cell: Kind of recurrent cell.
        hidden: Size of the state of one direction.
        num_layers: Recurrent layers on top of each other.
        bidirectional: Also read the sequence from its end.
        dropout: Probability of zeroing a state between layers and ahead of the head, in [0, 1).
    """

    def __init__(
        self,
        cell: Literal["lstm", "gru"] = "lstm",
        hidden: int = 128,
        num_layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        stem = to_sequence(*self.row_facts)
        rnn = RNN(stem.shape[1], self.num_outputs, cell, hidden, num_layers, bidirectional, dropout)
        self.network = Stemmed(stem, rnn)
