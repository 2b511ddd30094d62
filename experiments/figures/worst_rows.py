"""The test rows with the highest loss: what a person looks at first."""

from collections.abc import Sequence
from typing import Any

import polars
import torch
from torch import Tensor

from experiments.figures.drawing import COLOURS, panels

MOST = 12
"""Rows that are shown."""
COLUMNS = 30
"""Columns of a table that are shown."""
CHARACTERS = 600
"""Of a text that are shown."""

Said = Sequence[tuple[str, str]]
"""Of each row what it is and what it was taken for."""


def draw_worst(rows: Sequence[Tensor], ids: Sequence[int], said: Said) -> Any:
    """A figure of images (C, H, W) or series (C, T), each with its row id, its truth and its prediction."""
    figure, axes = panels(len(rows), 4, 2.6, 2.5, layout=None)
    # With so many axes matplotlib's own layout takes most of the drawing's time.
    width, height = figure.get_size_inches()
    sides = {"left": 0.35 / width, "right": 1 - 0.1 / width, "bottom": 0.25 / height, "top": 1 - 0.55 / height}
    figure.subplots_adjust(**sides, wspace=0.22, hspace=0.45)
    for row, number, (true, taken), panel in zip(rows, ids, said, axes, strict=True):
        panel.set_title(f"row {number}\ntrue {_cut(true, 40)}\npredicted {_cut(taken, 34)}", fontsize=8)
        if row.dim() == 3:
            panel.imshow(_displayed(row).numpy(), cmap="gray", interpolation="nearest")
            panel.set_axis_off()
        else:
            for index, channel in enumerate(row.numpy()):
                panel.plot(channel, color=COLOURS[index % len(COLOURS)], linewidth=1, alpha=1 if len(row) < 4 else 0.6)
            panel.tick_params(labelsize=7)
    return figure


def table_of_worst(rows: polars.DataFrame, ids: Sequence[int], said: Said) -> str:
    """A markdown table, a row for each."""
    shown = rows.columns[:COLUMNS]
    left_out = f"\n\nThe first {COLUMNS} of {rows.width} columns." if rows.width > COLUMNS else ""
    lines = [
        [str(number), true, taken, *map(_cell, values)]
        for number, (true, taken), values in zip(ids, said, rows.select(shown).iter_rows(), strict=True)
    ]
    return _markdown(["row", "true", "predicted", *shown], lines) + left_out


def texts_of_worst(rows: Sequence[str], ids: Sequence[int], said: Said) -> str:
    """A markdown table with the beginning of each text."""
    lines = [[str(number), *both, _cut(text)] for number, both, text in zip(ids, said, rows, strict=True)]
    return _markdown(["row", "true", "predicted", "text"], lines)


def _displayed(image: Tensor) -> Tensor:
    """(C, H, W) in any unit -> what matplotlib shows: (H, W), or (H, W, 3) in [0, 1]."""
    if image.shape[0] != 3:
        return image.double().mean(dim=0)
    if image.dtype == torch.uint8:
        return image.permute(1, 2, 0)
    low, high = image.min(), image.max()
    return ((image - low) / (high - low).clamp(min=1e-12)).permute(1, 2, 0)


def _markdown(names: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    every = [list(names), ["---"] * len(names), *lines]
    return "\n".join(f"| {' | '.join(map(_escaped, line))} |" for line in every)


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _cut(text: str, most: int = CHARACTERS) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _escaped(text: str) -> str:
    """On one line, without what markdown or HTML would take for its own."""
    flat = " ".join(text.split())
    if set(flat) == {"-"}:
        return flat
    for sign, plain in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        flat = flat.replace(sign, plain)
    return "".join(f"\\{one}" if one in "\\`*_[]#|" else one for one in flat)
