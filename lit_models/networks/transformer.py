"""The transformer encoder (Vaswani et al. 2017), with the norm ahead of each sublayer (Xiong et al. 2020)."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional


class EncoderLayer(nn.Module):
    """Self-attention and a two-layer feed-forward network, each behind a layer norm and beside a residual path."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_output = nn.Linear(width, width)
        self.feedforward_norm = nn.LayerNorm(width)
        self.feedforward = nn.Sequential(
            nn.Linear(width, feedforward), nn.GELU(), nn.Dropout(dropout), nn.Linear(feedforward, width)
        )
        self.dropout = nn.Dropout(dropout)

    def attend(self, x: Tensor) -> Tensor:
        """(N, T, D) -> (N, T, D), every token a mixture of all tokens' values."""
        n, t, d = x.shape
        split = self.query_key_value(x).view(n, t, 3, self.heads, d // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # three times (N, heads, T, D / heads)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        outputs: Tensor = self.attention_output(mixed.transpose(1, 2).reshape(n, t, d))
        return outputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, D) -> (N, T, D)."""
        x = x + self.dropout(self.attend(self.attention_norm(x)))
        outputs: Tensor = x + self.dropout(self.feedforward(self.feedforward_norm(x)))
        return outputs


class Transformer(nn.Module):
    """Tokens plus learned positions, encoder layers, one vector for the sequence, and a head.

    Args:
        in_features: Features of one token.
        length: Number of tokens, T.
        out_features: Number of outputs.
        width: Size of a token inside the encoder, a multiple of ``heads``.
        heads: Attention heads of a layer.
        num_layers: Encoder layers.
        dropout: Probability of zeroing an element of a sublayer's output, in [0, 1).
        pooling: ``mean`` of all tokens, or the ``class_token`` that is put ahead of them (Devlin et al. 2019).
        convolution: Kernel size, odd, of a convolution over neighbouring tokens that makes the embedding;
            1 embeds each token alone. For ordered tokens 5 to 9 saves the first layers from learning locality.
    """

    def __init__(
        self,
        in_features: int,
        length: int,
        out_features: int,
        width: int = 64,
        heads: int = 4,
        num_layers: int = 3,
        dropout: float = 0.1,
        pooling: Literal["mean", "class_token"] = "mean",
        convolution: int = 1,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width must be a multiple of heads, and {width} is not a multiple of {heads}")
        if convolution % 2 == 0:
            raise ValueError(f"convolution must be odd, so that padding keeps the length, and it is {convolution}")
        self.pooling = pooling
        self.embedding = nn.Conv1d(in_features, width, convolution, padding=convolution // 2)
        # Zeros would give every position the same encoding until the first steps pull them apart.
        self.position = nn.Parameter(torch.randn(1, length, width) * 0.02)
        if pooling == "class_token":
            self.class_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential(*(EncoderLayer(width, heads, 4 * width, dropout) for _ in range(num_layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, out_features)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, in_features) -> (N, out_features)."""
        tokens = self.embedding(x.transpose(1, 2)).transpose(1, 2) + self.position
        if self.pooling == "class_token":
            tokens = torch.cat([self.class_token.expand(len(x), -1, -1), tokens], dim=1)
        tokens = self.norm(self.layers(self.dropout(tokens)))
        pooled = tokens[:, 0] if self.pooling == "class_token" else tokens.mean(dim=1)
        outputs: Tensor = self.head(pooled)
        return outputs
