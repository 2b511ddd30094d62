"""The ensemble of feed-forward networks with shared weights as a LightningModule."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from typing_extensions import override

from lit_models.base import LitModel
from lit_models.networks import TabM
from lit_models.stems.stem import Stemmed, to_vector
from lit_models.training.batch import Batch


class LitTabM(LitModel):
    """Several feed-forward networks in one, over the flattened row: TabM-mini of Gorishniy et al. (2025).

    The members share all layers, and differ in a scale of each input and in their heads. Each is trained on the mean of
    their losses, and the model answers with the mean of their predictions.

    Args:
        members: Number of members; time grows with it, and weights hardly do.
        hidden: Width of each hidden layer.
        dropout: Probability of zeroing a hidden unit, in [0, 1).
    """

    def __init__(
        self, members: int = 16, hidden: Sequence[int] = (256, 256), dropout: float = 0.1, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        stem = to_vector(*self.row_facts)
        body = TabM(stem.shape[0], self.num_outputs, self.task.combine, members, hidden, dropout)
        self.network = Stemmed(stem, body)

    @override
    def _loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        if outputs.dim() == 2:
            return super()._loss(outputs, batch)
        targets = batch["y"].repeat_interleave(outputs.shape[1], dim=0)
        return super()._loss(outputs.flatten(0, 1), {**batch, "y": targets})
