"""Rows as scikit-learn takes them: a matrix of numbers, or texts."""

from typing import NamedTuple

import numpy
from numpy.typing import NDArray
from torch import Tensor

from datamodules import DataModule
from datamodules.texts.labelled_texts import LabelledTexts

Matrix = NDArray[numpy.float64]


class Features(NamedTuple):
    """One part of a data set.

    Args:
        inputs: A matrix (N, F), or N texts.
        categories: How many of the last columns of the matrix are indices of categories.
        target: As the data module gives it.
        row: Row ids (N,).
    """

    inputs: Matrix | list[str]
    categories: int
    target: Tensor
    row: Tensor


def features(data: DataModule, part: str) -> Features:
    """The rows of train, val or test, normalized and encoded as a network gets them, but flat.

    Series of unequal lengths are resampled, linearly, to the length of the longest. Images are not augmented. Texts
    stay texts.

    Args:
        data: Set up.
        part: Which one.
    """
    tensors = data.part(part)
    row, target = tensors["row"], tensors["y"]
    if isinstance(data, LabelledTexts):
        return Features(data.texts.gather(row.numpy()).to_list(), 0, target, row)
    x = tensors["x"].double().numpy()
    if "lengths" in tensors:
        x = resampled(x, tensors["lengths"].numpy())
    x = x.reshape(len(x), -1)
    if "categories" not in tensors:
        return Features(x, 0, target, row)
    categories = tensors["categories"].double().numpy()
    return Features(numpy.concatenate([x, categories], axis=1), categories.shape[1], target, row)


def resampled(x: Matrix, lengths: NDArray[numpy.int64]) -> Matrix:
    """Padded series (N, C, T) with their lengths (N,) -> (N, C, T), each stretched to all T steps."""
    steps = x.shape[2]
    stretched = numpy.empty_like(x)
    for index, length in enumerate(lengths):
        places = numpy.linspace(0, length - 1, steps)
        for channel in range(x.shape[1]):
            stretched[index, channel] = numpy.interp(places, numpy.arange(length), x[index, channel, :length])
    return stretched
