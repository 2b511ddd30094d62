"""Mean curves with their spread for runs that differ only in their seeds, written as separate TensorBoard runs."""

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy
from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

SUFFIXES = (" mean", " mean + sd", " mean - sd")
EVENTS = "events.out.tfevents.*"

Curve = dict[int, tuple[float, float]]
"""Value and wall time by step."""


def aggregate(experiment: Path, groups: Mapping[str, Sequence[Path]]) -> list[str]:
    """Writes the mean, and the mean plus and minus a standard deviation (n - 1), of each group's curves.

    The folders ``<group> mean`` and so on beside the runs contain events only; older ones are replaced. A curve has the
    steps that all runs of the group have, and of a test the last value. Returns the folder names of the groups with
    events of at least two runs, without the suffix.
    """
    for folder in [*experiment.iterdir()]:
        if folder.is_dir() and folder.name.endswith(SUFFIXES) and all(file.match(EVENTS) for file in folder.iterdir()):
            shutil.rmtree(folder)
    written: list[str] = []
    for name, runs in groups.items():
        curves = [curves for curves in map(read_curves, runs) if curves]
        if len(curves) > 1:
            stem = re.sub(r"[^\w .+=,@-]", "_", re.sub(r"[\[\](){}'\"]", "", name))
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
    writers = [EventFileWriter(str(experiment / f"{stem}{suffix}")) for suffix in SUFFIXES]
    for tag in sorted(set.intersection(*map(set, runs))):
        curves = [run[tag] for run in runs]
        steps = sorted(set.intersection(*map(set, curves)))
        points = {step: [curve[step] for curve in curves] for step in steps}
        if tag.startswith("test/"):  # early stopping may have ended the runs at different steps
            points = {max(map(max, curves)): [curve[max(curve)] for curve in curves]}
        for step, point in points.items():
            values, times = zip(*point, strict=True)
            mean, spread = float(numpy.mean(values)), float(numpy.std(values, ddof=1))
            for writer, value in zip(writers, (mean, mean + spread, mean - spread), strict=True):
                summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
                writer.add_event(Event(step=step, wall_time=float(numpy.mean(times)), summary=summary))
    for writer in writers:
        writer.close()
