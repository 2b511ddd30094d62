"""Figure of permutation importance: a bar for each of the most important features, with its interval.

Features that are areas of a grid, such as patches of images, have a map beside the bars, over the mean of the rows.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
from torch import Tensor, float32

from experiments.compare.table_formats import number
from experiments.explain.permutation_importance import Explanation, Importance
from experiments.figures.drawing import COLORS, GREY, folded, plain, sheet
from experiments.run.atomic_write import write_atomically

FILE = "importance.png"
MOST_BARS = 30
LONGEST = 36
"""Characters of a feature's name."""


def write_figure(folder: Path, explained: Explanation, title: str, x: Tensor) -> Path:
    """Writes a PNG into a folder; returns its path. Importance below 0 is drawn to the left.

    ``x`` (N, ...) are the explained rows.
    """
    shown, areas = explained.importances[:MOST_BARS], [each for each in explained.importances if each.area is not None]
    columns, width = (2, 13.5) if areas else (1, 7.5)
    figure, (axes, *maps) = sheet(columns=columns, width=width, height=1.4 + 0.24 * max(4, len(shown)))
    if areas:
        _draw_map(figure, maps[0], areas, x, explained.metric)
    height, values = numpy.arange(len(shown)), numpy.array([each.value for each in shown])
    kinds = [*dict.fromkeys(each.kind for each in shown)]
    colors = [COLORS[kinds.index(each.kind) % len(COLORS)] for each in shown]
    half = numpy.array([(each.high - each.low) / 2 for each in shown])
    axes.barh(height, values, color=colors, xerr=numpy.nan_to_num(half), ecolor=GREY, capsize=2)
    axes.axvline(0, color=GREY, linewidth=0.8)
    names = [each.feature if len(each.feature) <= LONGEST else f"{each.feature[: LONGEST - 1]}…" for each in shown]
    axes.set_yticks(height, [plain(name) for name in names], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(plain(f"{explained.metric} worse by, with 95 % interval"))
    axes.grid(axis="x", alpha=0.25)
    figure.suptitle(folded(title, 150 if areas else 90), fontsize=10)
    if len(kinds) > 1:
        from matplotlib.patches import Patch

        patches = [Patch(color=COLORS[index % len(COLORS)], label=plain(kind)) for index, kind in enumerate(kinds)]
        axes.legend(handles=patches, fontsize=8, frameon=False, loc="lower right")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_atomically(folder / FILE, buffer.getvalue())
    return folder / FILE


def _draw_map(figure: Any, axes: Any, areas: Sequence[Importance], x: Tensor, metric: str) -> None:
    """Draws the importance of areas in color over the mean of rows (N, C, H, W) in grey."""
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    mean = x.mean(dim=(0, 1), dtype=float32).numpy()
    values = numpy.full(mean.shape, numpy.nan)
    for each in areas:
        assert each.area is not None
        values[each.area] = each.value
        top, left = (part.start - 0.5 for part in each.area)
        height, width = values[each.area].shape
        axes.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor="white"))
        middle = left + width / 2, top + height / 2
        text = axes.text(*middle, number(each.value), ha="center", va="center", fontsize=8)
        text.set_path_effects([withStroke(linewidth=2, foreground="white")])
    largest = numpy.nan_to_num(numpy.abs(values)).max() or 1.0
    # Light, so that the colors stay those of the bar.
    axes.imshow(mean, cmap="Greys", vmin=mean.min(), vmax=mean.min() + 2.5 * numpy.ptp(mean), interpolation="nearest")
    drawn = axes.imshow(values, cmap="RdBu_r", vmin=-largest, vmax=largest, alpha=0.6, interpolation="nearest")
    figure.colorbar(drawn, ax=axes, label=plain(f"{metric} worse by"), fraction=0.05)
    axes.set_title("in grey the mean of these rows, darker where it is higher", fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])
