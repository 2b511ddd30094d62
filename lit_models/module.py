"""Any network of PyTorch as an architecture: torchvision's, timm's, transformers', or your own nn.Module."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from lit_models.any_network.adapter import Adapter
from lit_models.any_network.fact_arguments import facts_of_row
from lit_models.any_network.network_factory import NetworkFactory, make
from lit_models.any_network.network_output import described
from lit_models.any_network.trial import ROWS, try_network
from lit_models.base import LitModel
from lit_models.errors import ConfigError
from lit_models.stems.stem import Stem, to_rows
from lit_models.training.safe_hparams import is_plain

RGB = 3


class LitModule(LitModel):
    """Trains any ``nn.Module``, which a class or function of a package makes.

    Facts of the data fill arguments of usual names, such as ``in_channels`` and ``num_classes``; typed ones win. The
    network gets images (N, C, H, W), series (N, C, T), tables as a vector (N, F) and texts as ids (N, T), and masks of
    padded rows by usual names of arguments of ``forward``. It is tried on one batch before anything is trained.

    Args:
        network: Import path of a subclass of ``nn.Module``, or of a class or function of a package that ``--trust``
            names; its arguments are below it.
        head: Linear head on the mean of the network's features over their positions, in place of its own outputs.
        repeat_channels: Repeat the one channel of grey images to three, for networks of RGB images.
    """

    def __init__(
        self,
        network: NetworkFactory,
        head: Literal["none", "linear"] = "none",
        repeat_channels: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(network, NetworkFactory):
            raise ConfigError(
                f"network is {str(network)[:60]!r}; give --model.network PATH, or in Python NetworkFactory.of(class)"
            )
        if isinstance(network.function, type) and issubclass(network.function, LitModel):
            raise ConfigError(f"{network.path} is an architecture itself; write --model {network.path}")
        stem, has_head = to_rows(*self.row_facts), head == "linear"
        repeats = self._repeats(stem) if repeat_channels else 0
        shape = (repeats, *stem.shape[1:]) if repeats else stem.shape
        facts = facts_of_row(shape, self.num_outputs, self.vocab_size, has_head)
        made, network, filled = make(network, facts, "--model.network")
        if not isinstance(made, nn.Module):
            raise ConfigError(f"{network.path} returns {described(made)}, and a network is an nn.Module; name another")
        if is_plain(network.plain()):  # else a checkpoint could not be loaded without running code
            self.hparams["network"] = network.plain()
        has_steps = self.vocab_size > 0 or len(self.input_shape) == 2
        self.network = adapter = Adapter(stem, made, has_steps, repeats)
        try_network(adapter, self._example(has_steps), self.num_outputs, has_head, network.path)
        self.notes = [f"arguments of {network.path} from the data: {', '.join(filled)}"] if filled else []
        if self.vocab_size and not adapter.masks:
            self.notes.append(
                f"{network.path} takes no mask or lengths of texts: each is padded to {adapter.steps:,} tokens with 0"
            )

    def _repeats(self, stem: Stem) -> int:
        """Returns the number of channels that grey images get; raises ``ConfigError`` for other rows."""
        if len(stem.shape) != 3 or stem.shape[0] != 1:
            raise ConfigError(
                f"repeat_channels repeats the channel of grey images (1, H, W), and a row is {stem.shape}; leave "
                "--model.repeat_channels out"
            )
        return RGB

    def _example(self, has_steps: bool) -> dict[str, Tensor]:
        """Returns a batch of the largest rows: of zeros, and of a text the highest token id."""
        is_text, categories = self.vocab_size > 0, len(self.cardinalities)
        dtype, value = (torch.int64, self.vocab_size - 1) if is_text else (torch.float32, 0)
        batch = {"x": torch.full((ROWS, *self.input_shape), value, dtype=dtype)}
        if categories:
            batch["categories"] = torch.zeros(ROWS, categories, dtype=torch.int64)
        if has_steps:
            batch["lengths"] = torch.full((ROWS,), self.input_shape[-1], dtype=torch.int64)
        return batch
