"""Puts a network of another package between the rows of the data and the outputs of the task."""

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lit_models.any_network.network_output import FEATURES, LOGITS, pool_features, read_output
from lit_models.errors import ConfigError
from lit_models.networks.padding import is_padding
from lit_models.stems.stem import Stem

IDS = ("input_ids", "tokens", "token_ids")
"""Arguments of ``forward`` that are token ids, by name where they are not the first."""

VALID = ("attention_mask",)
"""Arguments of ``forward`` that are (N, T) int64, 1 at a step of the row and 0 behind its end."""

PADDING = ("padding_mask", "key_padding_mask", "src_key_padding_mask", "pad_mask")
"""Arguments of ``forward`` that are (N, T) bool, True behind the end of a row."""

LENGTHS = ("lengths", "seq_lengths", "seq_lens")
"""Arguments of ``forward`` that are (N,) int64, the steps of each row."""


class Adapter(nn.Module):
    """Stem, network, and a linear head if there is one.

    Args:
        stem: Stem of the rows, with the shape of what the network gets.
        body: The network.
        has_steps: True if the last axis of a row is its steps, so that rows may be padded.
        images: Prepares images for the network; None to leave rows as they are.
    """

    head: nn.Linear | None
    images: nn.Module | None

    def __init__(self, stem: Stem, body: nn.Module, has_steps: bool, images: nn.Module | None = None) -> None:
        super().__init__()
        self.stem, self.body = stem.module, body
        self.register_module("images", images)
        self.register_module("head", None)
        self.steps = stem.shape[-1] if has_steps else 0
        self.is_sequence = False  # of features: (N, T, D), and not (N, D, T)
        taken = inspect.signature(body.forward).parameters
        self.ids = next((name for name in IDS if name in taken and name != next(iter(taken))), "")
        self.masks = [name for name in (*VALID, *PADDING, *LENGTHS) if name in taken] if has_steps else []

    def forward(self, x: Tensor, categories: Tensor | None = None, lengths: Tensor | None = None) -> Tensor:
        """Rows (N, *input_shape), the categories (N, C) of a table, lengths (N,) of padded rows -> the outputs.

        A network without an argument for the ends of rows gets all rows padded with zeros to the most steps, so that
        its outputs do not depend on the other rows of a batch.

        Raises:
            ConfigError: If the network returns no outputs, or no features for its head.
        """
        outputs = self.features(x, categories, lengths)
        if self.head is not None:
            outputs = self.head(outputs)
        return outputs.unsqueeze(1) if outputs.dim() == 1 else outputs

    def features(self, x: Tensor, categories: Tensor | None = None, lengths: Tensor | None = None) -> Tensor:
        """Computes the features (N, D) that the head gets, of the same arguments; without a head the outputs."""
        returned, padding = self.run(x, categories, lengths)
        outputs = read_output(returned, LOGITS if self.head is None else FEATURES)
        if outputs is None:
            raise ConfigError(f"{type(self.body).__name__} has returned something else than when it was tried")
        return outputs if self.head is None else pool_features(outputs, self.is_sequence, padding)

    def run(self, x: Tensor, categories: Tensor | None, lengths: Tensor | None) -> tuple[Any, Tensor | None]:
        """Returns what the network returns, and the padding (N, T) of the rows that it got, if they have some."""
        x, named, padding = self.given(x, categories, lengths)
        return self.body(**{self.ids: x}, **named) if self.ids else self.body(x, **named), padding

    def given(
        self, x: Tensor, categories: Tensor | None, lengths: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
        """Returns what the network gets: rows, and masks or lengths by the names of its arguments; and the padding."""
        x, padding = self.stem(x if categories is None else (x, categories)), None
        if self.images is not None:
            x = self.images(x)
        if lengths is not None and self.steps:
            padding = is_padding(lengths, x.shape[-1])
            if not self.masks:
                x = x.masked_fill(padding if x.dim() == 2 else padding.unsqueeze(1), 0)
                x = functional.pad(x, (0, self.steps - x.shape[-1]))
                padding = is_padding(lengths, self.steps)
        return x, {name: self._mask(name, x, padding, lengths) for name in self.masks}, padding

    def _mask(self, name: str, x: Tensor, padding: Tensor | None, lengths: Tensor | None) -> Tensor:
        if name in LENGTHS:
            return x.new_full((len(x),), x.shape[-1], dtype=torch.int64) if lengths is None else lengths
        if padding is None:
            padding = torch.zeros(len(x), x.shape[-1], dtype=torch.bool, device=x.device)
        return (~padding).long() if name in VALID else padding
