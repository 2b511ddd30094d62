"""Figure of learning curves over train rows, as PNG and in TensorBoard. Importing this file imports matplotlib."""

import io
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
from matplotlib.ticker import LogLocator, NullFormatter
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from experiments.compare.learning_curve import LearningCurve
from experiments.figures.drawing import GROUP_COLORS, plain, sheet
from experiments.run.atomic_write import write_atomically
from experiments.terminal import decimal
from experiments.text_table import fold

TAG = "visuals/learning_curve"
FOLDER = "learning curve"
"""Folder of the events, beside the runs."""

EXTRAPOLATED = 2
"""The fit is drawn to so many times the largest number of rows."""


def write_figures(folder: Path, curves: Sequence[Sequence[LearningCurve]]) -> list[Path]:
    """Writes a figure of each block of curves into the folder and for TensorBoard; returns the paths of the PNGs."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    writer = EventFileWriter(str(folder / FOLDER))
    paths = []
    for number, block in enumerate(curves):
        suffix = f"-{number + 1}" if number else ""
        buffer, figure = io.BytesIO(), draw(block)
        figure.savefig(buffer, format="png")
        image = Summary.Image(encoded_image_string=buffer.getvalue(), colorspace=3)
        image.width, image.height = figure.canvas.get_width_height()
        writer.add_event(Event(step=0, summary=Summary(value=[Summary.Value(tag=TAG + suffix, image=image)])))
        paths.append(folder / f"learning_curve{suffix}.png")
        write_atomically(paths[-1], buffer.getvalue())
    writer.close()
    return paths


def draw(curves: Sequence[LearningCurve], answers: bool = True) -> Any:
    """Draws errors over train rows on logarithmic axes: runs, mean and standard deviation, and the power law.

    The law has its 95 % interval, and goes on to twice the rows. The ``answers`` stand below, unless a page has them.
    """
    shown = curves[: len(GROUP_COLORS)]
    lowest = [error for curve in shown for each in curve.errors for error in each if error > 0]
    figure, (axes,) = sheet(width=7.5, height=4.8 + 0.3 * len(shown) * answers)
    for curve, color in zip(shown, GROUP_COLORS, strict=False):
        means = numpy.array([numpy.mean(each) for each in curve.errors])
        spread = numpy.array([numpy.std(each, ddof=1) if len(each) > 1 else 0 for each in curve.errors])
        axes.fill_between(curve.rows, _above_zero(means - spread, means), means + spread, color=color, alpha=0.2, lw=0)
        for rows, errors in zip(curve.rows, curve.errors, strict=True):
            axes.plot([rows] * len(errors), errors, ".", color=color, alpha=0.4, markersize=4)
        repeated = max(map(len, curve.errors))
        label = plain(curve.name) + (f" (n = {repeated})" if repeated > 1 else "")
        if (law := curve.law) is not None and law.is_followed:
            grid = numpy.geomspace(curve.rows[0], EXTRAPOLATED * curve.rows[-1], 100)
            every = law.error(grid)
            low, high = numpy.quantile(every[1:], [0.025, 0.975], axis=0)
            axes.plot(grid, every[0], "--", color=color, linewidth=1)
            axes.fill_between(grid, _above_zero(low, every[0]), high, color=color, alpha=0.1, lw=0)
            lowest.append(every[0].min())
            scale = law.slope[0] * law.largest ** law.exponent[0]
            label += f": {decimal(float(law.floor[0]))} + {scale:.2g} / rows^{law.exponent[0]:.2f}"
        axes.plot(curve.rows, means, "o-", color=color, linewidth=1.5, markersize=4, label=label)
    axes.set(xscale="log", yscale="log", xlabel="train rows", ylabel=plain(f"{shown[0].error_name} of the test rows"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:,g}")
        axis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, frameon=False)
    axes.set_title(f"{plain(shown[0].data)}: mean ± sd over runs, and a power law to twice the rows", fontsize=10)
    axes.set_ylim(bottom=0.5 * min(lowest))
    lines = [line for curve in shown for line in fold(plain(curve.answer()), 110)] if answers else []
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=8)
    return figure


def _above_zero(values: Any, means: Any) -> Any:
    """Returns values that a logarithmic axis can draw."""
    return numpy.maximum(values, 0.01 * means)
