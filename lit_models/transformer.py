"""The transformer encoder as a LightningModule."""

from typing import Any, Literal

from lit_models.base import LitModel
from lit_models.networks import Transformer
from lit_models.stems.stem import Stemmed, to_sequence


class LitTransformer(LitModel):
    """Pre-norm encoder over the steps of a series, rows of an image, columns of a table or tokens of a text.

    Args:
        width: Size of a token inside the encoder, a multiple of ``heads``.
        heads: Attention heads of a layer.
        num_layers: Encoder layers.
        dropout: Probability of zeroing an element of a sublayer's output, in [0, 1).
        pooling: Vector of the sequence: the mean of all tokens, or a class token ahead of them.
        convolution: Kernel size, odd, of the convolution that embeds the tokens; 1 embeds each alone.
        checkpoint_activations: Compute each layer again in the backward pass instead of keeping its activations: the
            same numbers, less memory, a third more time.
        stochastic_depth: Probability that a row skips the last layer's sublayers, in [0, 1); earlier ones less.
    """

    def __init__(
        self,
        width: int = 64,
        heads: int = 4,
        num_layers: int = 3,
        dropout: float = 0.1,
        pooling: Literal["mean", "class_token"] = "mean",
        convolution: int = 1,
        checkpoint_activations: bool = False,
        stochastic_depth: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        stem = to_sequence(*self.row_facts, token_width=width)
        length, features = stem.shape
        sizes = (features, length, self.num_outputs, width, heads, num_layers)
        extras = (convolution, checkpoint_activations, stochastic_depth)
        self.network = Stemmed(stem, Transformer(*sizes, dropout, pooling, *extras))
