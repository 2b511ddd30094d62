"""Provenance of an artefact: the run that it was exported from."""

import math
from pathlib import Path
from typing import Any

import numpy

from experiments import safe_yaml
from experiments.compare.load_runs import Unusable
from experiments.compare.read_predictions import read_predictions
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


def about_run(run: Path | None, checkpoint: Path) -> dict[str, Any]:
    """Describes a run, or a checkpoint alone, in JSON values; raises ``ConfigError`` for a damaged record."""
    try:
        return _about(run, checkpoint)
    except (KeyError, TypeError, AttributeError) as error:
        damaged = checkpoint if run is None else run / "record.json"
        raise ConfigError(f"{damaged} is damaged, {error} is missing or wrong; restore it, or train again") from error


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
    return {**about, "metrics": finite, "intervals": _intervals(run, record["task"])}


def _intervals(run: Path, task: str) -> dict[str, list[float]]:
    """Computes 95 % intervals over test rows: each metric and 1.96 standard deviations of it on resampled rows."""
    try:
        tested = read_predictions(run, task)
    except Unusable:
        return {}
    found, drawn = {}, list(Resamples(tested.row))
    for name, measure in MEASURES[task].items():
        value, *_ = measure(tested.target, tested.prediction, numpy.ones((1, len(tested.row)))).tolist()
        resampled = [measure(tested.target, tested.prediction, weights) for weights in drawn]
        half = 1.96 * float(numpy.concatenate(resampled).std(ddof=1))
        if math.isfinite(value) and math.isfinite(half):
            found[name] = [value - half, value + half]
    return found
