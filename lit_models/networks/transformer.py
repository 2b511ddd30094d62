"""The transformer encoder (Vaswani et al. 2017), with the norm ahead of each sublayer (Xiong et al. 2020)."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from lit_models.cpu.affine import Affine
from lit_models.cpu.dropout import Dropout
from lit_models.networks.padding import is_padding, masked_mean
from lit_models.networks.stochastic_depth import StochasticDepth, by_depth


class EncoderLayer(nn.Module):
    """Self-attention and a two-layer feed-forward network, each after a layer norm and on a residual path."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float, stochastic_depth: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = Affine(width, 3 * width)
        self.attention_output = Affine(width, width)
        self.feedforward_norm = nn.LayerNorm(width)
        self.feedforward = nn.Sequential(
            Affine(width, feedforward), nn.GELU(), Dropout(dropout), Affine(feedforward, width)
        )
        self.dropout = Dropout(dropout)
        self.stochastic_depth = StochasticDepth(stochastic_depth)

    def attend(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(N, T, D) -> (N, T, D): attends to the tokens for which ``mask`` is True."""
        n, t, d = x.shape
        split = self.query_key_value(x).view(n, t, 3, self.heads, d // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # three times (N, heads, T, D / heads)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        outputs: Tensor = self.attention_output(mixed.transpose(1, 2).reshape(n, t, d))
        return outputs

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(N, T, D) -> (N, T, D); ``mask`` (N, 1, 1, T) is False for padding."""
        x = x + self.stochastic_depth(self.dropout(self.attend(self.attention_norm(x), mask)))
        outputs: Tensor = x + self.stochastic_depth(self.dropout(self.feedforward(self.feedforward_norm(x))))
        return outputs


class Transformer(nn.Module):
    """Tokens plus learned positions, encoder layers, one vector for the sequence, a head (options: ``LitTransformer``).

    The class token is that of Devlin et al. (2019), and activations are computed again as in Chen et al. (2016). For
    ordered tokens a convolution of 5 to 9 saves the first layers from learning locality.
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
        checkpoint_activations: bool = False,
        stochastic_depth: float = 0.0,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width must be a multiple of heads, and {width} is not a multiple of {heads}")
        if convolution % 2 == 0:
            raise ValueError(f"convolution must be odd, so that padding keeps the length, and it is {convolution}")
        self.pooling = pooling
        self.checkpoint_activations = checkpoint_activations
        self.embedding = nn.Conv1d(in_features, width, convolution, padding=convolution // 2)
        # Zeros would give every position the same encoding until the first steps separate them.
        self.position = nn.Parameter(torch.randn(1, length, width) * 0.02)
        if pooling == "class_token":
            self.class_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(width, heads, 4 * width, dropout, skipped)
            for skipped in by_depth(stochastic_depth, num_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, out_features)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, T, in_features), where row n has ``lengths[n]`` tokens before its padding -> (N, out_features)."""
        padding = None if lengths is None else is_padding(lengths, x.shape[1])
        if padding is not None:
            x = x.masked_fill(padding.unsqueeze(2), 0.0)
        # The sum takes the memory layout of its first term, token after token, into which every norm would copy it.
        tokens = self.position[:, : x.shape[1]] + self.embedding(x.transpose(1, 2)).transpose(1, 2)
        if self.pooling == "class_token":
            tokens = torch.cat([self.class_token.expand(x.shape[0], -1, -1), tokens], dim=1)
            padding = None if padding is None else functional.pad(padding, (1, 0), value=False)
        mask = None if padding is None else ~padding[:, None, None]
        tokens = self.dropout(tokens)
        for layer in self.layers:
            if self.checkpoint_activations and self.training:
                tokens = checkpoint(layer, tokens, mask, use_reentrant=False)
            else:
                tokens = layer(tokens, mask)
        tokens = self.norm(tokens)
        outputs: Tensor = self.head(tokens[:, 0] if self.pooling == "class_token" else masked_mean(tokens, padding))
        return outputs
