"""Canvas, colors and pixels of all figures, without pyplot's global state."""

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy
from numpy.typing import NDArray

from experiments.terminal import escaped
from experiments.text_table import fold

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Palette of Okabe & Ito (2008), which people with color vision deficiencies can distinguish, without the yellow."""
GREY = "#767676"
GROUP_COLORS = (*COLORS, "#999999")
"""Colors of the groups of a comparison."""
LINES = tuple((color, style) for style in ("-", "--") for color in COLORS)
"""Colors and styles of lines in one figure."""
DPI = 110


def sheet(
    rows: int = 1, columns: int = 1, width: float = 6.4, height: float = 4.8, **kwargs: Any
) -> tuple[Any, list[Any]]:
    """Creates a matplotlib figure of ``rows`` x ``columns`` axes, in inches; returns it and its axes row by row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **kwargs).ravel().tolist()
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
    return figure, axes


def panels(count: int, columns: int, width: float, height: float) -> tuple[Any, list[Any]]:
    """Creates ``count`` axes of one size in at most ``columns`` columns."""
    across = min(count, columns)
    down = ceil(count / across)
    figure, axes = sheet(down, across, width * across, height * down)
    for panel in axes[count:]:
        panel.set_visible(False)
    return figure, axes[:count]


def pixels(figure: Any) -> NDArray[numpy.uint8]:
    """Renders a figure as an image (H, W, 3)."""
    figure.canvas.draw()
    return numpy.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def display_names(names: Sequence[str], count: int) -> list[str]:
    """Returns names cut to 18 characters, or indices where there are not ``count`` names."""
    labels = list(names) if len(names) == count else [str(index) for index in range(count)]
    return [label if len(label) <= 18 else f"{label[:17]}…" for label in labels]


def titled(names: Sequence[str], text: str) -> str:
    """Returns a title that begins with the name of the target, or of several targets, as far as they have names."""
    return f"{plain(', '.join(display_names(names, len(names))))}: {text}" if 0 < len(names) <= 3 else text


def plain(label: str) -> str:
    """Returns a label that matplotlib draws as it is: ``$`` begins a formula, and a legend hides a first ``_``.

    Control characters, which no font has, are escaped.
    """
    return f"{' ' * label.startswith('_')}{escaped(label)}".replace("$", r"\$")


def folded(label: str, width: int) -> str:
    """Returns a label as ``plain`` does, in lines of at most ``width`` characters."""
    return "\n".join(map(plain, fold(label, width)))


def legend_columns(labels: Sequence[str], width: int) -> int:
    """Returns the number of columns, at most four, of a legend that is ``width`` characters wide."""
    longest = max((len(line) for label in labels for line in label.splitlines()), default=0)
    return max(1, min(4, len(labels), width // (longest + 8)))  # a marker and a gap take eight
