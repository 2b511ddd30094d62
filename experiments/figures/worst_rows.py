"""Test rows with the highest loss, as images, tables or texts."""

import html
from collections.abc import Sequence
from typing import Any

import polars
import torch
from torch import Tensor

from experiments.figures.drawing import COLORS, display_names, panels, plain, titled
from lit_models.tasks.prediction_types import Classes, Outcome, Values

MAX_ROWS = 12
MAX_CHANNELS = 6
MAX_COLUMNS = 30
MAX_CHARACTERS = 600
"""Characters of a text that are shown."""

Captions = Sequence[tuple[str, str]]
"""Truth and prediction of each row."""


def truth_and_prediction(
    outcome: Outcome, row: int, names: Sequence[str], targets: Sequence[str] = ()
) -> tuple[str, str]:
    """Returns captions of a row with probabilities, as in ``("3 (0.02)", "8 (0.97)")``.

    ``names`` are those of the classes or labels; ``targets`` those of the values, which are shown if there are several.
    """
    if isinstance(outcome, Values):
        several = [f"{name} " for name in targets] if len(targets) > 1 else [""] * outcome.target.shape[1]
        values = (outcome.target[row].tolist(), outcome.prediction[row].tolist())
        true, predicted = (
            ", ".join(f"{name}{value:.4g}" for name, value in zip(several, numbers, strict=True)) for numbers in values
        )
        return true, predicted
    probability, target = outcome.probabilities[row], outcome.target[row]
    labels = display_names(names, len(probability))
    captions = [f"{label} ({value:.2f})" for label, value in zip(labels, probability.tolist(), strict=True)]
    if isinstance(outcome, Classes):
        return captions[int(target)], captions[int(outcome.predicted()[row])]
    chosen = [target.nonzero().ravel().tolist(), (probability > 0.5).nonzero().ravel().tolist()]
    true, predicted = (", ".join(captions[label] for label in indices) or "none" for indices in chosen)
    return true, predicted


def named_rows(ids: Sequence[int], columns: polars.DataFrame) -> list[str]:
    """Returns the names of rows: their ids, and the values of the columns that name them, as in ``7, patient P-12``."""
    named = [[f"{name} {_cut(str(value), 30)}" for name, value in row.items()] for row in columns.iter_rows(named=True)]
    return [", ".join([str(row_id), *names]) for row_id, names in zip(ids, named or [[]] * len(ids), strict=True)]


def draw_worst(rows: Sequence[Tensor], ids: Sequence[str], captions: Captions, target: Sequence[str] = ()) -> Any:
    """Draws images (C, H, W) or series (C, T), each with its row's name, its truth and the ``target`` predicted.

    The first ``MAX_CHANNELS`` channels of a series have an axis each, one below the other: they may differ in units.
    """
    channels = 1 if rows[0].dim() == 3 else min(len(rows[0]), MAX_CHANNELS)
    figure, axes = panels(len(rows), 4, 2.6, 2.0 + 0.5 * channels)
    figure.set_size_inches(figure.get_figwidth(), figure.get_figheight() + 0.35)  # for its title
    figure.set_layout_engine(None)  # the constrained layout takes most of the drawing time of so many axes
    width, height = figure.get_size_inches()
    is_series = rows[0].dim() == 2
    sides = {
        "left": (0.6 if is_series else 0.35) / width,
        "right": 1 - 0.1 / width,
        "bottom": 0.25 / height,
        "top": 1 - 0.9 / height,
    }
    figure.suptitle(titled(target, "test rows with the highest loss"), fontsize=10, wrap=True)
    figure.subplots_adjust(**sides, wspace=0.4 if is_series else 0.22, hspace=0.45)
    for row, row_id, (true, predicted), panel in zip(rows, ids, captions, axes, strict=True):
        left_out = f" ({channels} of {len(row)} channels)" if row.dim() == 2 and len(row) > channels else ""
        title = f"row {plain(row_id)}{left_out}\ntrue {plain(_cut(true, 40))}\npredicted {plain(_cut(predicted, 34))}"
        panel.set_title(title, fontsize=8)
        draw_row(panel, row, has_ticks=True)
    return figure


def draw_row(panel: Any, row: Tensor, has_ticks: bool = False) -> None:
    """Draws an image (C, H, W), or the first ``MAX_CHANNELS`` of a series (C, T) with an axis each."""
    panel.set_axis_off()
    if row.dim() == 3:
        panel.imshow(_displayed(row).numpy(), cmap="gray", interpolation="nearest")
        return
    channels = min(len(row), MAX_CHANNELS)
    for index, channel in enumerate(row[:channels].numpy()):
        axis = panel.inset_axes((0, 1 - (index + 1) / channels, 1, 0.9 / channels))
        axis.plot(channel, color=COLORS[index % len(COLORS)], linewidth=1)
        axis.spines[["top", "right"]].set_visible(False)
        if has_ticks:
            axis.tick_params(labelsize=6, labelbottom=index == channels - 1)
        else:
            axis.set(xticks=[], yticks=[])


def table_of_worst(rows: polars.DataFrame, ids: Sequence[str], captions: Captions, target: Sequence[str] = ()) -> str:
    """Returns a Markdown table of the rows' first columns."""
    shown = rows.columns[:MAX_COLUMNS]
    left_out = f"\n\nThe first {MAX_COLUMNS} of {rows.width} columns." if rows.width > MAX_COLUMNS else ""
    cells = zip(ids, captions, rows.select(shown).iter_rows(), strict=True)
    lines = [[row_id, *caption, *map(_cell, values)] for row_id, caption, values in cells]
    return _markdown([*_heading(target), *shown], lines) + left_out


def texts_of_worst(rows: Sequence[str], ids: Sequence[str], captions: Captions, target: Sequence[str] = ()) -> str:
    """Returns a Markdown table with the beginning of each text."""
    lines = [[row_id, *caption, _cut(text)] for row_id, caption, text in zip(ids, captions, rows, strict=True)]
    return _markdown([*_heading(target), "text"], lines)


def _heading(target: Sequence[str]) -> list[str]:
    name = f" {target[0]}" if len(target) == 1 else ""
    return ["row", f"true{name}", f"predicted{name}"]


def _displayed(image: Tensor) -> Tensor:
    """Converts an image (C, H, W) in any unit for matplotlib: (H, W), or (H, W, 3) in [0, 1]."""
    if image.shape[0] != 3:
        return image.double().mean(dim=0)
    if image.dtype == torch.uint8:
        return image.permute(1, 2, 0)
    low, high = image.min(), image.max()
    return ((image - low) / (high - low).clamp(min=1e-12)).permute(1, 2, 0)


def _markdown(names: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(map(_escaped, line))} |" for line in [names, ["---"] * len(names), *lines])


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _cut(text: str, length: int = MAX_CHARACTERS) -> str:
    return text if len(text) <= length else f"{text[:length]}…"


def _escaped(text: str) -> str:
    """Escapes Markdown and HTML, and joins lines."""
    flat = " ".join(text.split())
    if set(flat) == {"-"}:
        return flat
    return "".join(f"\\{sign}" if sign in "\\`*_[]#|" else sign for sign in html.escape(flat, quote=False))
