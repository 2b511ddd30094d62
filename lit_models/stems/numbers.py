"""Embeddings of a table's numbers (Gorishniy, Rubachev & Babenko 2022, "On embeddings for numerical features").

Written here, since the authors' ``rtdl-num-embeddings`` takes sines of unreduced phases, on which two runtimes disagree
by 1e-5, and since its bins are no part of the weights.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from lit_models.errors import ConfigError

NumbersName = Literal["linear", "plr", "ple"]
"""linear: numbers as they are; plr: sines and cosines of learned frequencies, an affine map and ReLU; ple: position in
each of the bins between quantiles of train rows, and an affine map."""

FREQUENCIES = 48
BINS = 48


class PeriodicNumbers(nn.Module):
    """PLR: sines and cosines of each number at frequencies of its column, an affine map of each column, and ReLU.

    A frequency counts turns. Whole turns are removed before sine and cosine, which all runtimes compute alike below
    half a turn.
    """

    def __init__(self, columns: int, width: int, sigma: float) -> None:
        super().__init__()
        self.frequency = nn.Parameter(torch.randn(columns, FREQUENCIES) * sigma)
        self.map = ColumnMaps(columns, 2 * FREQUENCIES, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, F) -> (N, F, width)."""
        turns = x.unsqueeze(2) * self.frequency
        angle = 2 * math.pi * (turns - turns.detach().round())
        mapped: Tensor = self.map(torch.cat([angle.cos(), angle.sin()], dim=2))
        return mapped.relu()


class PiecewiseLinearNumbers(nn.Module):
    """PLE: the position of a number in each bin of its column, from 0 to 1, and an affine map of each column.

    The number itself is mapped too, as in the authors' later version. ``edges`` (F, bins + 1) are ascending; a bin
    between equal edges is always 0. Those of a standard normal distribution stand until ``set_edges`` is called.
    """

    edges: Tensor

    def __init__(self, columns: int, width: int, sigma: float = 1.0) -> None:
        super().__init__()
        steps = torch.linspace(0.5 / BINS, 1 - 0.5 / BINS, BINS + 1, dtype=torch.float64)
        self.register_buffer("edges", torch.special.ndtri(steps).float().repeat(columns, 1))
        self.map = ColumnMaps(columns, 1 + BINS, width)
        with torch.no_grad():
            self.map.weight[:, 1:] = 0  # training begins with the linear map

    def set_edges(self, quantiles: Callable[[int], Tensor]) -> None:
        """Sets the edges to the ``number_quantiles(n)`` of a data module, (F, n + 1) of the train rows."""
        self.edges.copy_(quantiles(BINS))

    def forward(self, x: Tensor) -> Tensor:
        """(N, F) -> (N, F, width)."""
        low, width = self.edges[:, :-1], self.edges.diff(dim=1)
        value = x.unsqueeze(2)
        position = ((value - low) / width.where(width > 0, torch.inf)).clamp(0, 1)
        mapped: Tensor = self.map(torch.cat([value, position.to(x.dtype)], dim=2))
        return mapped


class ColumnMaps(nn.Module):
    """An affine map for each column."""

    def __init__(self, columns: int, size: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(columns, size, width).uniform_(-1, 1) * size**-0.5)
        self.bias = nn.Parameter(torch.empty(columns, 1, width).uniform_(-1, 1) * size**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(N, F, size) -> (N, F, width)."""
        return torch.baddbmm(self.bias, x.transpose(0, 1), self.weight).transpose(0, 1)


EMBEDDINGS: dict[str, Callable[[int, int, float], nn.Module]] = {
    "plr": PeriodicNumbers,
    "ple": PiecewiseLinearNumbers,
}
"""Embeddings by the name in a configuration."""


def prepare_numbers(network: nn.Module, name: NumbersName, data: object) -> None:
    """Gives the bins of a network, where it has any, the quantiles of a data module's train rows.

    Raises ``ConfigError`` for data that have none, and for a network without the embedding of that ``name``.
    """
    modules = [module for module in network.modules() if isinstance(module, PeriodicNumbers | PiecewiseLinearNumbers)]
    if name != "linear" and not modules and getattr(data, "input_shape", (1,))[0]:
        raise ConfigError(
            f"this architecture does not embed numbers; leave --model.numbers {name} out, or give its stem all facts, "
            "as in to_vector(*self.row_facts)"
        )
    for module in modules:
        if isinstance(module, PiecewiseLinearNumbers):
            if not hasattr(data, "number_quantiles"):
                raise ConfigError(
                    f"numbers ple needs number_quantiles(count), the quantiles of each column's train rows, which "
                    f"{type(data).__name__} does not have; add it, or take --model.numbers plr"
                )
            module.set_edges(data.number_quantiles)
