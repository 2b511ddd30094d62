"""A mean curve with its spread for runs that differ only in their seeds, as runs of their own in TensorBoard."""

import re
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy
from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from experiments.run.record.record_io import read_record

ENDS = (" mean", " mean + sd", " mean - sd")
SEEDS = ("seed", "data.split_seed")
EVENTS = "events.out.tfevents.*"

Curve = dict[int, tuple[float, float]]
"""Value and time of day by step."""


def aggregate(experiment: Path, groups: Mapping[str, Sequence[Path]] | None = None) -> list[str]:
    """Write the mean, and the mean plus and minus a standard deviation (n - 1), of each group's curves.

    They are folders beside the runs, ``<group> mean`` and so on, with events only and no record; those from before are
    replaced. A curve has the steps that all runs of the group have, and what a test left its last value.

    Args:
        experiment: Folder of the runs.
        groups: Folders of runs by the group's name; runs alike in all settings but the seeds where it is left out.

    Returns:
        The groups as their folders name them: those of at least two runs with events.
    """
    for folder in [*experiment.iterdir()]:
        if folder.is_dir() and folder.name.endswith(ENDS) and all(file.match(EVENTS) for file in folder.iterdir()):
            shutil.rmtree(folder)
    written = []
    for name, runs in (alike(experiment) if groups is None else groups).items():
        curves = [_curves(run) for run in runs if any(run.glob(EVENTS))]
        if len(curves) > 1:
            stem = re.sub(r"[^\w .+=,@-]", "_", re.sub(r"[\[\](){}'\"]", "", name))
            while stem in written:
                stem += "-2"
            _write(experiment, stem, curves)
            written.append(stem)
    return written


def alike(experiment: Path) -> dict[str, list[Path]]:
    """Finished runs that differ only in their seeds, by their model and the settings that tell groups of it apart."""
    groups: dict[tuple[tuple[str, str], ...], list[Path]] = defaultdict(list)
    for path in sorted(file.parent for file in experiment.glob("*/record.json")):
        try:
            record = read_record(path)
            status, settings = record["status"], record["hyperparameters"]
        except (OSError, ValueError, KeyError):  # a run that broke, or is none of ours
            continue
        if status == "finished":
            shared = {name: str(value) for name, value in settings.items() if name not in SEEDS}
            groups[tuple(sorted(shared.items()))].append(path)
    named = {}
    for key, runs in groups.items():
        others = [dict(other) for other in groups if dict(other)["model"] == dict(key)["model"]]
        told = [
            f"{name.removeprefix('model.')}={value}"
            for name, value in key
            if any(other.get(name) != value for other in others)
        ]
        named[" ".join([dict(key)["model"], *told])] = runs
    return named


def _curves(run: Path) -> dict[str, Curve]:
    events = EventAccumulator(str(run), size_guidance={SCALARS: 0}).Reload()
    return {
        tag: {event.step: (event.value, event.wall_time) for event in events.Scalars(tag)}
        for tag in events.Tags()[SCALARS]
    }


def _write(experiment: Path, stem: str, runs: Sequence[dict[str, Curve]]) -> None:
    writers = [EventFileWriter(str(experiment / f"{stem}{end}")) for end in ENDS]
    for tag in sorted(set.intersection(*(set(run) for run in runs))):
        for step, points in _together(tag, [run[tag] for run in runs]).items():
            values, times = zip(*points, strict=True)
            mean, spread = float(numpy.mean(values)), float(numpy.std(values, ddof=1))
            for writer, value in zip(writers, (mean, mean + spread, mean - spread), strict=True):
                summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
                writer.add_event(Event(step=step, wall_time=float(numpy.mean(times)), summary=summary))
    for writer in writers:
        writer.close()


def _together(tag: str, curves: Sequence[Curve]) -> dict[int, list[tuple[float, float]]]:
    """The points of all runs at each step."""
    if tag.startswith("test/"):  # early stopping may have ended the runs at different steps
        return {max(max(curve) for curve in curves): [curve[max(curve)] for curve in curves]}
    steps = sorted(set.intersection(*(set(curve) for curve in curves)))
    return {step: [curve[step] for curve in curves] for step in steps}
