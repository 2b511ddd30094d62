"""Fitting the baselines, and recording each as a run like any other."""

import json
import shlex
import time
from datetime import UTC, datetime
from typing import Any

import torch
from jsonargparse import Namespace
from torch import Tensor

from datamodules import DataModule
from experiments.floor.baselines import Baseline, baselines, probabilities
from experiments.floor.features import Features, features
from experiments.run.record.artifacts import write_data, write_predictions
from experiments.run.record.hyperparameters import flat_hyperparameters
from experiments.run.record.metadata import identity
from experiments.run.record.run_directory import RunDirectory, root_of
from experiments.terminal import say
from lit_models.tasks import TASKS, Task


def fit_floor(
    data: DataModule, config: Namespace, plain_config: dict[str, Any], command: list[str], seed: int
) -> list[dict[str, Any]]:
    """Fit every baseline on the train rows, evaluate it on test rows and val rows, if any, and write its run.

    Args:
        data: The data module.
        config: As parsed, for the run's place.
        plain_config: The same as plain values, for the record.
        command: The words that started it.
        seed: Of what is random in the baselines.

    Returns:
        The records, with the label of each.
    """
    data.setup("fit")
    experiment = config.experiment or type(data).__name__.lower()
    threads = torch.get_num_threads()
    parts = {part: features(data, part) for part, rows in data.part_rows().items() if rows}
    task = TASKS[data.task](data.num_outputs)
    records = []
    for baseline in baselines(parts["train"], data.task, seed, threads):
        started = time.monotonic()
        # scikit-learn hears of classes in the order of their indices, all of which the train rows have.
        target = parts["train"].target.numpy()
        baseline.estimator.fit(parts["train"].inputs, target.ravel() if target[0].size == 1 else target)
        evaluated = {part: _evaluate(task, baseline, rows) for part, rows in parts.items() if part != "train"}
        stem = f"{baseline.name.replace(' ', '-')}-seed{seed}"
        directory = RunDirectory.free(root_of(config.trainer.default_root_dir), experiment, stem)
        record = {
            "command": shlex.join(command),
            "experiment": experiment,
            "run": directory.run,
            "status": "finished",
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "model": baseline.name,
            "data": type(data).__name__,
            "task": data.task,
            "seed": seed,
            "rank_by": f"test/{task.rank_by}",
            "parameters": 0,
            "rows": data.part_rows(),
            "fingerprints": data.fingerprints(),
            "notes": list(data.notes),
            "hyperparameters": _hyperparameters(plain_config, baseline.name) | {"seed": seed},
            **identity(torch.device("cpu"), 1, "64-true"),
            "seconds": time.monotonic() - started,
            "validation": evaluated["val"][1] if "val" in evaluated else None,
            "metrics": {f"test/{name}": value for name, value in evaluated["test"][1].items()},
        }
        directory.path.mkdir(parents=True)
        write_data(directory.path, data)
        columns = {"row": parts["test"].row, "target": parts["test"].target, "prediction": evaluated["test"][0]}
        write_predictions(directory.path / "predictions.parquet", columns, data.class_names)
        (directory.path / "record.json").write_text(json.dumps(record, indent=2) + "\n")
        say(f"{baseline.name}: {directory.path}")
        records.append(record | {"label": baseline.name})
    return records


def _evaluate(task: Task, baseline: Baseline, rows: Features) -> tuple[Tensor, dict[str, float]]:
    """Predictions of some rows and their metrics, by the metrics that networks are measured with."""
    prediction, values = torch.from_numpy(probabilities(baseline.estimator, rows.inputs, task.name)), {}
    for name, metric in task.metrics().items():
        metric.update(prediction, task.metric_target(rows.target))
        values[name] = float(metric.compute())
    return prediction, values


def _hyperparameters(config: dict[str, Any], name: str) -> dict[str, str | int | float | bool]:
    flat = flat_hyperparameters(config)
    kept = {key: value for key, value in flat.items() if key == "seed" or key.partition(".")[0] == "data"}
    return {**kept, "model": name}
