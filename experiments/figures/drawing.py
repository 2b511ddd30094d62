"""What all figures share: a sheet without pyplot's global state, colours, and the way to pixels."""

from collections.abc import Sequence
from math import ceil
from typing import Any, Literal

import numpy
from numpy.typing import NDArray

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Those of Okabe & Ito (2008), which people tell apart however they see colours, without the yellow."""
GREY = "#767676"
STYLES = ("-", "--")
LINES = tuple((colour, style) for style in STYLES for colour in COLOURS)
"""So many lines of one picture can be told apart."""
DPI = 110

Layout = Literal["constrained"] | None
"""Matplotlib's own, or that of ``subplots_adjust``."""


def sheet(
    rows: int = 1,
    columns: int = 1,
    width: float = 6.4,
    height: float = 4.8,
    layout: Layout = "constrained",
    **kwargs: Any,
) -> tuple[Any, list[Any]]:
    """A matplotlib figure of ``rows`` x ``columns`` axes, in inches, and its axes in reading order."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout=layout)
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **kwargs).ravel().tolist()
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def panels(
    count: int, columns: int, width: float, height: float, layout: Layout = "constrained"
) -> tuple[Any, list[Any]]:
    """So many axes of one size, ``columns`` of them beside each other."""
    across = min(count, columns)
    down = ceil(count / across)
    figure, axes = sheet(down, across, width * across, height * down, layout)
    for one in axes[count:]:
        one.set_visible(False)
    return figure, axes[:count]


def pixels(figure: Any) -> NDArray[numpy.uint8]:
    """A figure as an image (H, W, 3)."""
    figure.canvas.draw()
    return numpy.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def named(names: Sequence[str], count: int) -> list[str]:
    """The names where there are as many, else numbers; long ones are cut."""
    given = list(names) if len(names) == count else [str(index) for index in range(count)]
    return [one if len(one) <= 18 else f"{one[:17]}…" for one in given]
