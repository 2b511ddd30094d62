"""Linear and logistic regression as a LightningModule."""

from typing import Any

from lit_models.base import LitModel
from lit_models.networks import Linear
from lit_models.stems.stem import Stemmed, to_vector


class LitLinear(LitModel):
    """Linear regression, or logistic regression for classes: the baseline of every comparison.

    Args:
        dropout: Probability of zeroing an input, in [0, 1).
    """

    def __init__(self, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        stem = to_vector(self.modality, self.input_shape, self.cardinalities, self.vocab_size)
        self.network = Stemmed(stem, Linear(stem.shape[0], self.num_outputs, dropout))
