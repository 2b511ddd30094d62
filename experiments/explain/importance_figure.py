"""Figure of permutation importance: a bar for each of the most important features, with its interval."""

import io
from pathlib import Path

import numpy

from experiments.explain.permutation_importance import Explanation
from experiments.figures.drawing import COLORS, GREY, folded, plain, sheet
from experiments.run.atomic_write import write_atomically

FILE = "importance.png"
MOST_BARS = 30
LONGEST = 36
"""Characters of a feature's name."""


def write_figure(folder: Path, explained: Explanation, title: str) -> Path:
    """Writes a PNG into a folder; returns its path. Importance below 0 is drawn to the left."""
    shown = explained.importances[:MOST_BARS]
    figure, (axes,) = sheet(width=7.5, height=1.4 + 0.24 * max(4, len(shown)))
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
    figure.suptitle(folded(title, 90), fontsize=10)
    if len(kinds) > 1:
        from matplotlib.patches import Patch

        patches = [Patch(color=COLORS[index % len(COLORS)], label=plain(kind)) for index, kind in enumerate(kinds)]
        axes.legend(handles=patches, fontsize=8, frameon=False, loc="lower right")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_atomically(folder / FILE, buffer.getvalue())
    return folder / FILE
