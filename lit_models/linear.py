"""Linear and logistic regression as a LightningModule."""

from typing import Any

from lit_models.base import LitModel
from lit_models.errors import ConfigError
from lit_models.networks import Linear
from lit_models.stems.sequence import MeanOfTokensAndPairs
from lit_models.stems.stem import WORD_WIDTH, Stem, Stemmed, to_vector


class LitLinear(LitModel):
    """Linear regression, or logistic regression for classes: the baseline of every comparison.

    Args:
        dropout: Probability of zeroing an input, in [0, 1).
        pair_buckets: Of a text, hash pairs of neighbouring tokens to so many embeddings beside those of the tokens, as
            Joulin et al. (2017) do; 0 for none.
    """

    def __init__(self, dropout: float = 0.0, pair_buckets: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        stem = to_vector(*self.row_facts)
        if pair_buckets:
            if self.modality != "text" or pair_buckets < 0:
                raise ConfigError(
                    "pair_buckets are at least 1, for pairs of a text's tokens, and they are "
                    f"{pair_buckets} with modality {self.modality}; leave --model.pair_buckets out"
                )
            stem = Stem(MeanOfTokensAndPairs(self.vocab_size, WORD_WIDTH, pair_buckets), (WORD_WIDTH,))
        self.network = Stemmed(stem, Linear(stem.shape[0], self.num_outputs, dropout))
