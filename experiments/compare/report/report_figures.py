"""Figures of a report as inline SVG. Importing this file imports matplotlib."""

import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Any, NamedTuple

import matplotlib
import numpy
from numpy.typing import NDArray

from experiments.compare.comparison import Standing
from experiments.compare.comparison_figures import draw_costs, draw_curves, draw_ranks
from experiments.compare.data_sets import DataSets
from experiments.compare.groups import Block
from experiments.compare.learning_curve import LearningCurve
from experiments.compare.learning_curve_figure import draw as draw_learning_curves
from experiments.compare.read_predictions import read_predictions
from experiments.compare.report.html_elements import figure
from experiments.compare.report.question import floor_of
from experiments.compare.slice_report import Sliced
from experiments.figures.drawing import COLORS, GREY, GROUP_COLORS, folded, legend_columns, plain, sheet
from lit_models.metrics.classification_metrics import BINS, calibration_bin, class_confidence
from lit_models.metrics.row_weights import grouped_sum

Array = NDArray[numpy.float64]
Read = Callable[..., Any]

MOST_ROWS = 30
"""Rows of a figure of intervals."""

MOST_LINES = 4
"""Groups whose reliability is drawn: lines of few rows in a bin cross."""

SETTINGS: dict[Any, Any] = {"svg.fonttype": "none", "axes.unicode_minus": False}
"""Texts stay texts, which a reader can search and a screen reader reads."""


class Interval(NamedTuple):
    """A row of a figure of intervals."""

    name: str
    value: float
    low: float  # NaN without an interval
    high: float
    points: Sequence[float] = ()  # of the single runs


class Figures:
    """Draws the figures of one report; each is numbered, so that no two share an id."""

    def __init__(self) -> None:
        self._count = 0

    def of_groups(self, block: Block, standings: Sequence[Standing], read: Read) -> Iterator[str]:
        """Yields the figures of a block: means, learning curves, reliability and costs, as far as it has them."""
        metric = f"test/{block.metric}"
        rows = [
            Interval(each.group.label, *_interval(each), [score.value for score in each.scores]) for each in standings
        ]
        baseline = floor_of(standings)
        line = None if baseline is None else (f"floor: {baseline.group.label}", baseline.estimate.mean)
        yield self._inline(
            _draw_intervals(rows, metric, line), f"{metric}: mean of each group with its 95 % interval, and its runs"
        )
        if (curves := draw_curves(block, standings, read)) is not None:
            yield self._inline(curves, "Validation in training: mean and standard deviation over the runs of a group")
        if any(not numpy.isnan(each.metrics.get("ece", numpy.nan)) for each in standings):
            caption = "Reliability: fraction of right rows over the probability of the predicted class"
            if block.task == "binary":
                caption = "Reliability: fraction of rows of class 1 over its probability"
            yield self._inline(_draw_reliability(block, standings), f"{caption}, the rows of a group's runs together")
        yield self._inline(draw_costs(block, standings), f"{metric} over the cost of training")

    def of_slices(self, slices: Sliced) -> Iterator[str]:
        """Yields a figure for each of the first groups: its metric, or the recall of its classes, with intervals."""
        for group in slices.content["groups"][: len(GROUP_COLORS)]:
            name = group.get("metric", "recall")
            key = "value" if "metric" in group else "recall"
            rows = [
                Interval(each["name"], _number(each[key]), _number(each["low"]), _number(each["high"]))
                for each in group["slices"]
            ]
            caption = f"{name} of {group['group']} by {slices.content['by']}, with 95 % intervals"
            yield self._inline(_draw_intervals(rows, name, None), caption)

    def of_learning_curves(self, curves: Sequence[LearningCurve]) -> str:
        """Returns the figure of the learning curves of a block."""
        caption = f"{curves[0].error_name} over the number of train rows, with a power law to twice the rows"
        return self._inline(draw_learning_curves(curves, answers=False), caption)

    def of_data_sets(self, compared: DataSets) -> Iterator[str]:
        """Yields the critical-difference diagram, if there are enough data sets for one."""
        if compared.critical_difference is not None and (drawn := draw_ranks(compared.units, "All data sets")):
            caption = "Average ranks over the data sets: a bar joins groups that are not shown to differ (Nemenyi)"
            yield self._inline(drawn, caption)

    def _inline(self, drawn: Any, caption: str) -> str:
        """Returns a figure as SVG within HTML: the same bits each time, and no address of a namespace or a font."""
        self._count += 1
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        with matplotlib.rc_context({**SETTINGS, "svg.hashsalt": f"figure {self._count}"}), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph")  # a browser has more fonts
            drawn.savefig(buffer, format="svg", transparent=True, metadata=nothing)
        svg = re.sub(r"<style.*?</style>", "", buffer.getvalue().partition("<svg ")[2], flags=re.DOTALL)
        view = re.search(r'viewBox="[^"]*"', svg)
        start = f'<svg {view[0] if view else ""} role="img" aria-label="{escape(caption)}">'
        svg = re.sub(r'<g id="[^"]*"', "<g", svg.partition(">")[2]).replace("<use xlink:href", "<use href")
        return figure(start + re.sub(r'<text style="[^"]*"', _in_font_of_page, svg).rstrip(), caption)


def _in_font_of_page(style: re.Match[str]) -> str:
    without = re.sub(r"font-family: [^;\"]*", "font-family: inherit", style[0])
    return re.sub(r"font: ([^;\"]*?px) [^;\"]*", r"font: \1 sans-serif", without)


def _draw_intervals(rows: Sequence[Interval], name: str, line: tuple[str, float] | None) -> Any:
    """Draws values with their intervals, the first on top; of many rows only the first ones, which its title says."""
    shown = rows[:MOST_ROWS]
    names = [folded(row.name, 40) for row in shown]
    lines = sum(label.count("\n") + 1 for label in names)
    drawn, (axes,) = sheet(width=7.5, height=1.1 + 0.22 * lines + 0.14 * len(shown))
    positions = range(len(shown))
    if line is not None:
        axes.axvline(line[1], color=GREY, linestyle="--", linewidth=1, label=folded(line[0], 90))
        drawn.legend(loc="outside lower right", fontsize=8, frameon=False)
    for position, row in zip(positions, shown, strict=True):
        axes.plot(row.points, [position] * len(row.points), "o", color=COLORS[5], alpha=0.6, markersize=4)
        if not numpy.isnan(row.low):
            axes.plot([row.low, row.high], [position, position], color=COLORS[0], linewidth=2)
        axes.plot([row.value], [position], "D", color=COLORS[0], markersize=5)
    axes.set_yticks(positions, names, fontsize=9)
    axes.set(ylim=(len(shown) - 0.5, -0.5), xlabel=plain(name))
    axes.grid(axis="x", alpha=0.25)
    if len(shown) < len(rows):
        axes.set_title(f"the first {len(shown)} of {len(rows)}", fontsize=9)
    return drawn


def _draw_reliability(block: Block, standings: Sequence[Standing]) -> Any:
    """Draws the fraction of right rows in each bin of probabilities, larger for more rows, for the best groups."""
    drawn, (axes,) = sheet(width=7.5, height=5)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
    axes.grid(alpha=0.25)
    defined = [each for each in standings if not numpy.isnan(each.metrics["ece"])]
    for standing, color in zip(defined[:MOST_LINES], GROUP_COLORS, strict=False):
        confidence, right, fraction = _reliability(block.task, standing)
        label = folded(f"{standing.group.label} (expected calibration error {standing.metrics['ece']:.3f})", 100)
        axes.plot(confidence, right, color=color, linewidth=1, alpha=0.5)
        axes.scatter(
            confidence, right, 8 + 200 * fraction, color=color, alpha=0.8, linewidth=0, clip_on=False, label=label
        )
    of_class = "class 1" if block.task == "binary" else "the predicted class"
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=f"probability of {of_class}", ylabel="fraction of rows")
    if len(defined) > MOST_LINES:
        axes.set_title(f"the best {MOST_LINES} of {len(defined)} groups", fontsize=9, pad=12)
    handles, labels = axes.get_legend_handles_labels()
    columns = legend_columns(labels, 120)
    legend = drawn.legend(handles, labels, loc="outside lower center", fontsize=8, frameon=False, ncols=columns)
    for handle in legend.legend_handles:
        handle.set_sizes([30])
    return drawn


def _reliability(task: str, standing: Standing) -> tuple[Array, Array, Array]:
    """Returns mean probability, fraction of right rows and fraction of all rows (B,) of the bins that have rows.

    The rows are those of all runs of a group.
    """
    every = [read_predictions(score.run.path, task) for score in standing.scores]
    pairs = [class_confidence(each.target, each.prediction) for each in every]
    confidence, correct = (numpy.concatenate(column) for column in zip(*pairs, strict=True))
    bins = calibration_bin(confidence)
    rows, sure, right = (grouped_sum(bins, each, BINS)[0] for each in (numpy.ones(len(bins)), confidence, correct))
    full = rows > 0
    return sure[full] / rows[full], right[full] / rows[full], rows[full] / rows.sum()


def _interval(standing: Standing) -> tuple[float, float, float]:
    estimate = standing.estimate
    return estimate.mean, estimate.low, estimate.high


def _number(value: float | None) -> float:
    return numpy.nan if value is None else value
