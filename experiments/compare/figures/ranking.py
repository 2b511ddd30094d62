"""Critical-difference diagram of Demšar (2006)."""

from collections.abc import Sequence

import numpy
from matplotlib.figure import Figure

from experiments.compare.critical_difference import Units, average_ranks, critical_difference


def figure(units: Units, title: str) -> Figure | None:
    """Draws average ranks on a line, and bars that join groups whose ranks are not shown to differ.

    Returns None for a single group or a single unit, or if a value is undefined.
    """
    values, labels, noun = units
    if min(values.shape) < 2 or numpy.isnan(values).any():
        return None
    count = len(labels)
    ranks = average_ranks(values)
    order = ranks.argsort(kind="stable")
    apart = critical_difference(count, len(values))
    bars = _bars(ranks[order].tolist(), apart)
    half = (count + 1) // 2
    top = 0.5 + 0.35 * len(bars)
    drawn = Figure(figsize=(8, 1.6 + 0.3 * (top + half)), layout="constrained")
    axes = drawn.add_subplot()
    axes.set_xlim(1 - 0.02 * count, count + 0.02 * count)
    axes.set_ylim(-(top + 0.8 * half + 0.3), 1.6)
    axes.axis("off")
    axes.plot([1, count], [0, 0], color="black", linewidth=1)
    for tick in range(1, count + 1):
        axes.plot([tick, tick], [0, 0.15], color="black", linewidth=1)
        axes.text(tick, 0.25, str(tick), ha="center", va="bottom", fontsize=8)
    for position, group in enumerate(order):
        is_left = position < half
        low = -(top + 0.8 * (position if is_left else count - 1 - position))
        side, align = (1, "right") if is_left else (count, "left")
        axes.plot([ranks[group], ranks[group], side], [0, low, low], color="black", linewidth=0.8)
        text = f"{labels[group]}  {ranks[group]:.2f}"
        axes.annotate(
            text, (side, low), xytext=(-4 if is_left else 4, 0), textcoords="offset points", ha=align, va="center",
            fontsize=8,
        )  # fmt: skip
    for level, (first, last) in enumerate(bars):
        axes.plot([first - 0.03, last + 0.03], [-0.35 * (level + 1)] * 2, color="black", linewidth=3)
    width = min(apart, count - 1)
    axes.plot([1, 1, 1 + width, 1 + width], [1.0, 1.1, 1.1, 1.0], color="black", linewidth=1)
    axes.text(1 + width / 2, 1.15, f"critical difference {apart:.2f}", ha="center", va="bottom", fontsize=8)
    axes.set_title(f"{title}: average rank over {len(values)} {noun}, Nemenyi p < 0.05", fontsize=10)
    return drawn


def _bars(ranks: Sequence[float], apart: float) -> list[tuple[float, float]]:
    """Returns the longest intervals of sorted ranks within the critical difference, each of at least two groups."""
    bars: list[tuple[float, float]] = []
    for first in ranks:
        last = max(rank for rank in ranks if first <= rank <= first + apart)
        if last > first and (not bars or last > bars[-1][1]):
            bars.append((first, last))
    return bars
