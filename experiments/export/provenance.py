"""Provenance of an artefact: the run that it was exported from."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy

from experiments import safe_yaml
from experiments.compare.load_runs import Unusable, threshold_of
from experiments.compare.read_predictions import Predictions, mean_predictions, read_predictions
from experiments.compare.statistics.bayesian_bootstrap import Resamples
from experiments.export.artifact import sha256
from experiments.run.checkpoints.checkpoint_io import CONFIG, read
from experiments.run.record.record_io import read_record
from lit_models.errors import ConfigError
from lit_models.metrics.task_metrics import MEASURES

RECORDED = ("data", "task", "seed", "rank_by", "parameters", "rows", "fingerprints", "git", "precision", "started",
            "notes")  # fmt: skip
"""Fields of the run's record that the signature repeats."""


def run_of(checkpoint: Path) -> Path | None:
    """Returns the run folder of a checkpoint, or None for a checkpoint that stands alone."""
    folder = checkpoint.resolve().parent.parent
    return folder if (folder / "record.json").is_file() else None


def about_run(checkpoints: Sequence[Path]) -> dict[str, Any]:
    """Describes a run, or a checkpoint alone, in JSON values; several as one ensemble.

    Raises ``ConfigError`` for a damaged record.
    """
    abouts = []
    for checkpoint in checkpoints:
        run = run_of(checkpoint)
        try:
            abouts.append(_about(run, checkpoint))
        except (KeyError, TypeError, AttributeError) as error:
            damaged = checkpoint if run is None else run / "record.json"
            message = f"{damaged} is damaged, {error} is missing or wrong; restore it, or train again"
            raise ConfigError(message) from error
    return abouts[0] if len(abouts) == 1 else _together(abouts, [run_of(checkpoint) for checkpoint in checkpoints])


def _together(abouts: Sequence[dict[str, Any]], runs: Sequence[Path | None]) -> dict[str, Any]:
    """Describes an ensemble: what its runs have in common, its members, and the metrics of their mean prediction."""
    first, count = abouts[0], len(abouts)
    common = {name: first[name] for name in RECORDED if name in first and _is_common(name, abouts)}
    members = [{name: about.get(name) for name in ("id", "checkpoint", "seed", "parameters")} for about in abouts]
    about = {
        **common,
        "id": f"{first['id'] or first['checkpoint']['name']} and {count - 1} more",
        "data": first["data"],
        "seed": ", ".join(str(member["seed"]) for member in members),
        "members": members,
    }
    if all(member["parameters"] is not None for member in members):
        about["parameters"] = sum(member["parameters"] for member in members)
    folders = [run for run, about in zip(runs, abouts, strict=True) if run is not None and "metrics" in about]
    try:
        if len(folders) < count:
            raise Unusable("not every member is the tested checkpoint of a run")
        thresholds = [threshold_of(read_record(folder)) for folder in folders]
        tested = mean_predictions(folders, first["task"], thresholds)
    except Unusable as unusable:
        return {**about, "unknown": f"the mean of {count} runs has no common test, {unusable}"}
    metrics = {name: float(measure(tested.target, tested.prediction, None, tested.threshold)[0]) for name, measure in
               MEASURES[first["task"]].items() if f"test/{name}" in first["metrics"]}  # fmt: skip
    finite = {f"test/{name}": value if math.isfinite(value) else None for name, value in metrics.items()}
    return {**about, "metrics": finite, "intervals": _intervals(tested, first["task"])}


def _is_common(name: str, abouts: Sequence[dict[str, Any]]) -> bool:
    return all(name in about and about[name] == abouts[0][name] for about in abouts)


def _about(run: Path | None, checkpoint: Path) -> dict[str, Any]:
    content = read(checkpoint)
    config = safe_yaml.load(content[CONFIG])
    about = {
        "id": None,
        "checkpoint": {"name": checkpoint.name, "epoch": content.get("epoch"), "sha256": sha256(checkpoint)},
        "data": config["data"]["class_path"],
        "seed": config.get("seed_everything"),
    }
    if run is None:
        return {**about, "unknown": "the checkpoint stands alone; metrics, rows and versions are in its run's folder"}
    record = read_record(run)
    about |= {name: record[name] for name in RECORDED if name in record}
    about |= {"id": f"{record.get('experiment')}/{record.get('run')}", "trained_with": record.get("versions", {})}
    if checkpoint.name != "best.ckpt":
        return {**about, "unknown": f"the run tested its best checkpoint, and this is {checkpoint.name}"}
    metrics = record.get("metrics", {})
    finite = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
    try:
        intervals = _intervals(read_predictions(run, record["task"], threshold_of(record)), record["task"])
    except Unusable:
        intervals = {}
    return {**about, "metrics": finite, "intervals": intervals}


def _intervals(tested: Predictions, task: str) -> dict[str, list[float]]:
    """Computes 95 % intervals over test rows: each metric and 1.96 standard deviations of it on resampled rows."""
    found, drawn, rows = {}, list(Resamples(tested.row)), (tested.target, tested.prediction)
    for name, measure in MEASURES[task].items():
        value, *_ = measure(*rows, numpy.ones((1, len(tested.row))), tested.threshold).tolist()
        resampled = [measure(*rows, weights, tested.threshold) for weights in drawn]
        half = 1.96 * float(numpy.concatenate(resampled).std(ddof=1))
        if math.isfinite(value) and math.isfinite(half):
            found[name] = [value - half, value + half]
    return found
