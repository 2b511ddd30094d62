"""Features of rows, and how each is permuted over rows: columns, channels and windows of series, patches of images.

``Inputs.features`` lists those of a modality. They are permuted in the tensors of ``DataModule.unprepared``, where a
column of a table is one column of one tensor, and NaN is a missing value, which moves with it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Tensors = Mapping[str, Tensor]

WINDOWS = 10
"""Windows of steps into which series are divided, at most."""
PATCHES = 4
"""Patches into which an image's height and width are divided, at most."""


@dataclass(frozen=True)
class Feature:
    """A feature of rows."""

    kind: str  # such as column
    name: str
    permuted: Callable[[Tensors, Tensor], dict[str, Tensor]]
    """Returns rows of which each has the feature of another, by an order (N,); the given tensors stay as they are."""
    method: str  # how it is permuted, for people
    is_random: bool = True  # False if the order changes nothing
    area: tuple[slice, slice] | None = None  # rows and columns of the last two axes of ``x``, if it is a part of these


def column(name: str, index: int, tensor: str = "x") -> Feature:
    """Returns the feature of a column of a tensor (N, F)."""

    def permuted(rows: Tensors, order: Tensor) -> dict[str, Tensor]:
        values = rows[tensor].clone()
        values[:, index] = values[order, index]
        return {**rows, tensor: values}

    return Feature("column", name, permuted, "A column's values are permuted over rows, missing ones too.")


def features_of(x: Tensor, names: Sequence[str] = ()) -> list[Feature]:
    """Returns the features of rows (N, F), (N, C, T) or (N, C, H, W); without names they are numbered.

    Names are those of columns or channels. Pixels of all channels are permuted together.
    """
    named = [*names] or [str(index) for index in range(x.shape[1])]
    if x.dim() == 2:
        return [column(name, index) for index, name in enumerate(named)]
    if x.dim() == 3:
        channels = [_of_series("channel", name, index, slice(None)) for index, name in enumerate(named)]
        windows = [
            _of_series("window", _span("steps", each), slice(None), each) for each in _divided(x.shape[2], WINDOWS)
        ]
        return [*channels, *(windows if len(windows) > 1 else [])]
    rows, columns = (_divided(size, PATCHES) for size in x.shape[2:4])
    return [_patch(down, across) for down in rows for across in columns]


def _of_series(kind: str, name: str, channels: int | slice, steps: slice) -> Feature:
    def permuted(rows: Tensors, order: Tensor) -> dict[str, Tensor]:
        x = rows["x"]
        lengths = rows["lengths"] if "lengths" in rows else torch.full((len(x),), x.shape[-1])
        step = torch.arange(x.shape[-1])[steps] % lengths[order].unsqueeze(1)  # of another series (N, S)
        there = x[order].gather(2, step.unsqueeze(1).expand(-1, x.shape[1], -1))
        values = x.clone()
        values[:, channels, steps] = there[:, channels]
        return {**rows, "x": values}

    method = f"A {kind} is taken from another series, which is repeated from its beginning where it is shorter."
    return Feature(kind, name, permuted, method)


def _patch(down: slice, across: slice) -> Feature:
    def permuted(rows: Tensors, order: Tensor) -> dict[str, Tensor]:
        values = rows["x"].clone()
        values[:, :, down, across] = values[order][:, :, down, across]
        return {**rows, "x": values}

    name = f"{_span('rows', down)}, {_span('columns', across)}"
    method = "A patch's pixels, of all channels, are taken from another image."
    return Feature("patch", name, permuted, method, area=(down, across))


def _divided(size: int, most: int) -> list[slice]:
    """Divides positions into ranges of about one size."""
    return [slice(int(each[0]), int(each[-1]) + 1) for each in torch.arange(size).tensor_split(min(size, most))]


def _span(name: str, positions: slice) -> str:
    return f"{name} {positions.start} to {positions.stop - 1}"
