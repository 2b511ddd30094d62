"""Mean curves with their spread for runs that differ only in their seeds, a TensorBoard run for each group."""

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy
from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from experiments.run.record.custom_scalars import layout

SUFFIX = " mean"
EARLIER_SUFFIXES = (" mean + sd", " mean - sd")
"""Of folders that an earlier version wrote in place of the margins."""
MARGINS = "with sd"
"""Group of the tags of a curve's margins, which TensorBoard sorts behind all others."""
EVENTS = "events.out.tfevents.*"

Curve = dict[int, tuple[float, float]]
"""Value and wall time by step."""


def aggregate(experiment: Path, groups: Mapping[str, Sequence[Path]]) -> list[str]:
    """Writes the mean of each group's curves, and those one standard deviation (n - 1) above and below it.

    The folders ``<group> mean`` beside the runs contain events only; older ones are replaced. A curve has the steps
    that all runs of the group have, and of a test the last value. The Custom Scalars tab draws the curves of train loss
    and validation with their margins. Returns the folder names of the groups with events of at least two runs, without
    the suffix.
    """
    for folder in [*experiment.iterdir()]:
        if (
            folder.is_dir()
            and folder.name.endswith((SUFFIX, *EARLIER_SUFFIXES))
            and all(file.match(EVENTS) for file in folder.iterdir())
        ):
            shutil.rmtree(folder)
    written: list[str] = []
    for name, runs in groups.items():
        curves = [curves for curves in map(read_curves, runs) if curves]
        if len(curves) > 1:
            stem = re.sub(r"[^\w .+=,@$-]", "_", re.sub(r"[\[\](){}'\"]", "", name))
            while stem in written:
                stem += "-2"
            _write(experiment, stem, curves)
            written.append(stem)
    return written


def read_curves(run: Path) -> dict[str, Curve]:
    """Reads the scalars of a run by tag; the later value where a step was logged twice."""
    if not any(run.glob(EVENTS)):
        return {}
    events = EventAccumulator(str(run), size_guidance={SCALARS: 0}).Reload()
    return {
        tag: {event.step: (event.value, event.wall_time) for event in events.Scalars(tag)}
        for tag in events.Tags()[SCALARS]
    }


def _write(experiment: Path, stem: str, runs: Sequence[dict[str, Curve]]) -> None:
    writer = EventFileWriter(str(experiment / f"{stem}{SUFFIX}"))
    tags = sorted(set.intersection(*map(set, runs)))
    validated = [tag for tag in tags if tag.startswith("val/") and tag != "val/loss"]
    charted = [tag for tag in ("train/loss", "val/loss", *validated) if tag in tags]
    margins = {tag: (f"{MARGINS}/{tag} - sd", f"{MARGINS}/{tag} + sd") for tag in charted}
    writer.add_event(Event(summary=layout([tag.removeprefix("val/") for tag in validated], margins)))
    for tag in tags:
        curves = [run[tag] for run in runs]
        steps = sorted(set.intersection(*map(set, curves)))
        points = {step: [curve[step] for curve in curves] for step in steps}
        if tag.startswith("test/"):  # early stopping may have ended the runs at different steps
            points = {max(map(max, curves)): [curve[max(curve)] for curve in curves]}
        for step, point in points.items():
            values, times = zip(*point, strict=True)
            mean, spread = float(numpy.mean(values)), float(numpy.std(values, ddof=1))
            scalars = {tag: mean} | dict(zip(margins.get(tag, ()), (mean - spread, mean + spread), strict=False))
            summary = Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()])
            writer.add_event(Event(step=step, wall_time=float(numpy.mean(times)), summary=summary))
    writer.close()
