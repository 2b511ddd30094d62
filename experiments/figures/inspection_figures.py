"""Figures of an inspection, as PNG: histograms of columns, and examples of each class, of train rows alone."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy
import polars
import torch
from torch import Tensor

from datamodules.inspection.inspection import Inspection
from datamodules.inspection.summary_columns import InspectionSample
from experiments.figures.drawing import GREY, LINES, display_names, panels, plain, sheet
from experiments.figures.worst_rows import draw_row
from lit_models.errors import ConfigError

MAX_COLUMNS = 30
"""Columns that are drawn, the first ones of more."""

MAX_LEVELS = 10
"""Categories of a column that are drawn."""

MAX_CLASSES = 20
"""Classes of which there are examples; of more, those with the most train rows."""

EXAMPLES = 8
"""Rows of each class that are drawn, evenly spaced among its train rows."""

BINS = 30
TAILS = (0.005, 0.995)
"""Quantiles beyond which values are drawn at the ends if the whole range is much wider."""

Rows = Mapping[str, Tensor]
"""Positions of the train rows of each class by its name, or of all of them."""


def draw(sample: InspectionSample, inspection: Inspection, classes: int | None, folder: Path) -> list[Path]:
    """Writes ``columns.png``, and for images and series ``examples.png``; returns the paths.

    ``classes`` is None if a row has no class or several labels. Raises ``ConfigError`` without matplotlib, or if the
    folder cannot be written.
    """
    if find_spec("matplotlib") is None:
        raise ConfigError("--figures needs matplotlib; pip install '.[figures]' in the checkout")
    rows = _by_class(sample, inspection, classes)
    figures = {"columns": _columns(sample, inspection, rows if classes is not None else {"": sample.split.train})}
    first = sample.raw(sample.split.train[:1])
    if isinstance(first, list) and first[0].dim() in (2, 3):
        figures["examples"] = _examples(sample, rows)
    files = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, figure in figures.items():
            files.append(folder / f"{name}.png")
            figure.savefig(files[-1])
    except OSError as error:
        raise ConfigError(f"--figures {folder} cannot be written: {error.strerror}; choose another folder") from error
    return files


def _by_class(sample: InspectionSample, inspection: Inspection, classes: int | None) -> Rows:
    """Returns the train rows of each class or label; those of regression in ranges of the target."""
    train = sample.split.train
    y = sample.targets[train]
    names = list(inspection.classes)
    if classes is not None:
        return {name: train[y == index] for index, name in enumerate(names)}
    if names:
        return {name: train[y[:, index] == 1] for index, name in enumerate(names)}
    values = y.double().view(len(y), -1)[:, 0]
    parts = values.argsort(stable=True).tensor_split(min(5, len(values)))
    return {f"{values[part[0]]:.4g} to {values[part[-1]]:.4g}": train[part] for part in parts}


def _columns(sample: InspectionSample, inspection: Inspection, rows: Rows) -> Any:
    """Draws the distribution of each column, of each class by itself where there are few."""
    features = sample.features
    several = 1 < len(rows) <= len(LINES)
    rows = rows if several else {"": sample.split.train}
    names = features.columns[:MAX_COLUMNS]
    figure, axes = panels(len(names), 4, 3.0, 2.3)
    for name, panel in zip(names, axes, strict=True):
        values = {label: features[name].gather(index.numpy()).drop_nulls() for label, index in rows.items()}
        is_number = features.schema[name].is_numeric() or features.schema[name] in (polars.Date, polars.Datetime)
        (_draw_numbers if is_number else _draw_categories)(panel, values)
        panel.set_title(plain(display_names([name], 1)[0]), fontsize=9)
        panel.tick_params(labelsize=7)
    left_out = f", the first {len(names)} of {features.width} columns" if len(names) < features.width else ""
    what = "fraction of each class" if several else "rows"
    count = len(sample.split.train)
    title = f"{inspection.data}: {count:,} train rows, {what} by value{left_out}"
    _head(figure, title, display_names([*rows], len(rows)) if several else [])
    return figure


def _draw_numbers(axes: Any, values: Mapping[str, polars.Series]) -> None:
    """Draws histograms over the same bins."""
    every = polars.concat(list(values.values()))
    if not len(every):
        return
    is_date = every.dtype.is_temporal()

    def numbers(column: polars.Series) -> Any:
        days = column.cast(polars.Datetime("us")).cast(polars.Int64) / 86_400e6 if is_date else column
        return days.cast(polars.Float64).to_numpy()

    whole = numbers(every)
    low, high = whole.min(), whole.max()
    inner = numpy.quantile(whole, TAILS)
    if inner[1] > inner[0] and high - low > 4 * (inner[1] - inner[0]):
        low, high = inner
        axes.set_xlabel("ends: values beyond", fontsize=7)
    different = len(numpy.unique(whole[:: max(1, len(whole) // 10_000)]))
    bins = min(BINS, max(2, different), max(8, int((len(whole) / len(values)) ** 0.5)))
    edges = numpy.linspace(low, high if high > low else low + 1, bins + 1)
    if every.dtype.is_integer():  # as many whole numbers in each bin
        width = max(1, -(-int(high - low + 1) // bins))
        edges = numpy.arange(low - 0.5, high + width + 0.5, width)
    for column, (color, style) in zip(values.values(), LINES, strict=False):
        own = numbers(column).clip(edges[0], edges[-1])
        counts = numpy.histogram(own, edges)[0] / (max(1, len(own)) if len(values) > 1 else 1)
        if len(values) > 1:
            axes.stairs(counts, edges, color=color, linestyle=style, linewidth=1.2)
        else:
            axes.stairs(counts, edges, color=color, fill=True)
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="x", nbins=4)
    if is_date:
        dates: Any = import_module("matplotlib.dates")  # has no types
        locator = dates.AutoDateLocator(maxticks=4)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))


def _draw_categories(axes: Any, values: Mapping[str, polars.Series]) -> None:
    """Draws the fraction or number of rows with each of the most frequent categories."""
    texts = {label: column.cast(polars.String).alias("value") for label, column in values.items()}
    counts = polars.concat(list(texts.values())).value_counts(sort=True)
    levels = counts["value"].to_list()[:MAX_LEVELS]
    height = numpy.arange(len(levels))
    for column, (color, style) in zip(texts.values(), LINES, strict=False):
        own = dict(column.value_counts().iter_rows())
        widths = [own.get(level, 0) / (max(1, len(column)) if len(values) > 1 else 1) for level in levels]
        if len(values) > 1:
            marker = "o" if style == "-" else "s"
            axes.plot(widths, height, color=color, marker=marker, markersize=4, linestyle="none", clip_on=False)
        else:
            axes.barh(height, widths, color=color)
    axes.set_yticks(height, [plain(name) for name in display_names(levels, len(levels))])
    axes.set_xlim(left=0)
    axes.invert_yaxis()
    axes.grid(axis="y", alpha=0.25)
    if len(counts) > MAX_LEVELS:
        axes.set_xlabel(f"the first {MAX_LEVELS} of {len(counts):,}", fontsize=7)


def _examples(sample: InspectionSample, rows: Rows) -> Any:
    """Draws a line of images or series for each class."""
    most = sorted(rows, key=lambda name: -len(rows[name]))[:MAX_CLASSES]
    shown = {name: index for name, index in rows.items() if name in most and len(index)}
    figure, axes = sheet(len(shown), EXAMPLES, 1.25 * EXAMPLES + 1.2, 1.3 * len(shown) + 0.5)
    figure.set_layout_engine(None)  # the constrained layout takes most of the time of so many axes
    width, height = figure.get_size_inches()
    figure.subplots_adjust(
        left=1.2 / width, right=0.99, bottom=0.1 / height, top=1 - 0.55 / height, wspace=0.12, hspace=0.25
    )
    labels = display_names([*shown], len(shown))
    for number, index in enumerate(shown.values()):
        chosen = index[torch.linspace(0, len(index) - 1, min(EXAMPLES, len(index))).round().long()]
        line: Sequence[Any] = axes[number * EXAMPLES : (number + 1) * EXAMPLES]
        for panel in line:
            panel.set_axis_off()
        raw = sample.raw(chosen)
        ids = chosen if sample.row_ids is None else sample.row_ids[chosen]
        for panel, row, row_id in zip(line, raw, ids.tolist(), strict=False):
            draw_row(panel, row)
            panel.set_title(f"row {row_id}", fontsize=6, pad=2, color=GREY)
        line[0].text(
            -0.1,
            0.5,
            f"{plain(labels[number])}\n{len(index):,} rows",
            transform=line[0].transAxes,
            ha="right",
            va="center",
            fontsize=8,
        )
    left_out = f", {len(shown)} of {len(rows)} classes" if len(shown) < len(rows) else ""
    figure.suptitle(f"examples of {sum(map(len, shown.values())):,} train rows{left_out}", fontsize=10)
    return figure


def _head(figure: Any, title: str, names: Sequence[str]) -> None:
    """Adds a title, and a legend of the classes."""
    figure.suptitle(plain(title), fontsize=10)
    if names:
        from matplotlib.lines import Line2D

        looks: Any = zip(names, LINES, strict=False)
        lines = [Line2D([], [], color=color, linestyle=style, label=plain(name)) for name, (color, style) in looks]
        figure.legend(handles=lines, loc="outside lower center", ncols=min(len(names), 7), fontsize=8, frameon=False)
