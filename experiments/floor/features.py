"""Rows in the form that the baselines take: a matrix of numbers, texts, and series."""

from typing import NamedTuple

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules import DataModule
from datamodules.texts.labelled_texts import LabelledTexts
from experiments.floor.random_kernels import PaddedSeries

Matrix = NDArray[numpy.float64]


class Features(NamedTuple):
    """Rows of a split."""

    inputs: Matrix | list[str]  # a matrix (N, F), or N texts
    categories: int  # number of trailing columns that are category indices
    target: Tensor  # of the data module
    row: Tensor  # row ids (N,)
    series: PaddedSeries | None = None  # the rows of series, not flat


def features(data: DataModule, split: str) -> Features:
    """Returns the rows of a split, normalized and encoded as for a network, but flat.

    Series of unequal lengths are resampled to the length of the longest. Images are not augmented. Texts stay texts.
    """
    tensors = data.part(split)
    row, target = tensors["row"], tensors["y"]
    if isinstance(data, LabelledTexts):
        return Features(data.texts.gather(row.numpy()).to_list(), 0, target, row)
    x, series = tensors["x"].double().numpy(), None
    if x.ndim == 3:
        lengths = tensors.get("lengths", torch.full((len(x),), x.shape[2]))
        series = PaddedSeries(tensors["x"], lengths)
    if "lengths" in tensors:
        x = resampled(x, tensors["lengths"].numpy())
    x = x.reshape(len(x), -1)
    if "categories" not in tensors:
        return Features(x, 0, target, row, series)
    categories = tensors["categories"].double().numpy()
    return Features(numpy.concatenate([x, categories], axis=1), categories.shape[1], target, row)


def resampled(x: Matrix, lengths: NDArray[numpy.int64]) -> Matrix:
    """Stretches padded series (N, C, T) of lengths (N,) to all T steps by linear interpolation: (N, C, T)."""
    stretched = numpy.empty_like(x)
    for series, length, into in zip(x, lengths, stretched, strict=True):
        before, after = numpy.arange(length), numpy.linspace(0, length - 1, x.shape[2])
        for channel, row in enumerate(series):
            into[channel] = numpy.interp(after, before, row[:length])
    return stretched
