"""Series that are drawn at random, in the manner of MNIST-1D: the demonstration's data need no package and no file."""

import numpy
import torch
from numpy.typing import NDArray

from datamodules.in_memory import InMemoryData
from datamodules.raw_data import Rows

ROWS, STEPS, CLASSES = 3000, 40, 10
KNOTS = 6
"""Values that the shape of a class interpolates."""

WIDTHS = (14, 24)
"""Least and most steps of a shape."""

NOISE, SLOPE = 0.3, 0.5
"""Standard deviations of the noise and of the trend, where a shape has one of about 1."""


class Shapes1D(InMemoryData):
    """3,000 series of 40 steps in 10 classes, made here: the shape of the class anywhere among noise and a trend.

    As in MNIST-1D (Greydanus & Kobak 2020), position, width and height vary, so that architectures differ.
    """

    task = "multiclass"
    modality = "series"
    input_shape = (1, STEPS)
    num_outputs = CLASSES
    class_names = tuple("0123456789")

    def load(self) -> Rows:
        """Returns the same rows on every machine: NumPy's ``RandomState`` is frozen."""
        draw = numpy.random.RandomState(0)
        shapes = draw.standard_normal((CLASSES, KNOTS))
        y = numpy.arange(ROWS) % CLASSES
        shaped = numpy.stack([_placed(shapes[label], draw) for label in y])
        trend = draw.normal(0, SLOPE, (ROWS, 1)) * numpy.linspace(-1, 1, STEPS)
        white = draw.standard_normal((ROWS, STEPS + 2))
        smooth = (white[:, :-2] + white[:, 1:-1] + white[:, 2:]) / 3**0.5
        x = torch.from_numpy(shaped + trend + NOISE * smooth)
        return Rows(x.float().unsqueeze(1), torch.from_numpy(y))


def _placed(shape: NDArray[numpy.float64], draw: numpy.random.RandomState) -> NDArray[numpy.float64]:
    """Returns a series (STEPS,) with a shape (KNOTS,) of random width, position and height, zero around it."""
    width = draw.randint(WIDTHS[0], WIDTHS[1] + 1)
    start = draw.randint(0, STEPS - width + 1)
    values = numpy.interp(numpy.linspace(0, KNOTS - 1, width), numpy.arange(KNOTS), shape)
    steps = numpy.zeros(STEPS)
    steps[start : start + width] = draw.uniform(0.6, 1.4) * values
    return steps
