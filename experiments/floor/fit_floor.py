"""Fits the baselines, and records each as a run like any other."""

import hashlib
import shlex
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import torch
from jsonargparse import Namespace
from torch import Tensor

from datamodules import DataModule
from experiments.floor.baselines import Baseline, baselines
from experiments.floor.features import Features, features
from experiments.run.atomic_write import whole_folder, write_json
from experiments.run.record.artifacts import write_data, write_predictions
from experiments.run.record.hyperparameters import curated, flat_hyperparameters
from experiments.run.record.look_callback import finite, rows_tested
from experiments.run.record.look_ledger import Look, write_look
from experiments.run.record.metadata import identity
from experiments.run.record.run_directory import RunDirectory, root_of
from experiments.run.record.tensorboard import write_session
from experiments.terminal import say
from lit_models.tasks import TASKS, Task

FIXED_SEED = 0
"""Recorded for baselines that have the same result with any seed."""


def fit_floor(
    data: DataModule, config: Namespace, plain_config: dict[str, Any], command: list[str], seeds: Sequence[int]
) -> list[dict[str, Any]]:
    """Fits, evaluates and records every baseline; returns the records, each with the key ``label`` added.

    A baseline that draws random numbers has a run for each seed, any other one run with ``FIXED_SEED``.
    """
    data.setup("fit")
    experiment = config.experiment or data.data_name.lower()
    threads = torch.get_num_threads()
    splits = {split: features(data, split) for split, rows in data.part_rows().items() if rows}
    train, test = splits.pop("train"), splits["test"]
    task = TASKS[data.task](data.num_outputs)
    options = flat_hyperparameters(plain_config)
    options = {name: value for name, value in options.items() if name == "seed" or name.partition(".")[0] == "data"}
    columns_of_data, fingerprints = data.column_fingerprints(), data.fingerprints()
    fits = [(seed, each) for seed in seeds for each in baselines(train, splits.get("val"), data.task, seed, threads)]
    records = []
    for seed, baseline in fits:
        if not baseline.is_random and seed != seeds[0]:
            continue
        model, seed = baseline.name, seed if baseline.is_random else FIXED_SEED
        started = time.monotonic()
        baseline.fit(train)
        evaluated = {split: _evaluate(task, baseline, rows) for split, rows in splits.items()}
        stem = f"{model.replace(' ', '-')}-seed{seed}"
        directory = RunDirectory.free(root_of(config.trainer.default_root_dir), experiment, stem)
        record: dict[str, Any] = {
            "command": shlex.join([*command, "--seeds", str(seed)]),
            "experiment": experiment,
            "run": directory.run,
            "status": "finished",
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "model": model,
            "data": data.data_name,
            "task": data.task,
            "seed": seed,
            "deterministic": not baseline.is_random,
            "rank_by": f"test/{task.rank_by}",
            "parameters": 0,
            "rows": data.part_rows(),
            "fingerprints": fingerprints,
            "columns": columns_of_data,
            "notes": list(data.notes),
            "hyperparameters": options | {"model": model, "seed": seed},
            **identity(torch.device("cpu"), 1, "64-true"),
            "seconds": time.monotonic() - started,
            "validation": evaluated["val"][1] if "val" in evaluated else None,
            "metrics": {f"test/{name}": value for name, value in evaluated["test"][1].items()},
        }
        columns = {"row": test.row, "target": test.target, "prediction": evaluated["test"][0]}
        with whole_folder(directory.path) as folder:
            write_data(folder, data)
            named = data.id_columns(test.row)
            write_predictions(folder / "predictions.parquet", columns, data.class_names, named)
            validation = {f"val/{name}": value for name, value in (record["validation"] or {}).items()}
            write_session(folder, curated(record["hyperparameters"]), record["metrics"] | validation)
            look = _look(data, directory, test.row, *evaluated["test"])
            write_look(look, [folder, directory.root])
            write_json(folder / "record.json", record)
        say(f"{model}: {directory.path}")
        records.append(record | {"label": model})
    return records


def _look(
    data: DataModule, directory: RunDirectory, row: Tensor, prediction: Tensor, metrics: dict[str, float]
) -> Look:
    """Returns the look of a baseline, which is identified by its predictions."""
    return Look(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        command="floor",
        experiment=directory.experiment,
        run=directory.run,
        file="",
        checkpoint=hashlib.sha256(prediction.numpy().tobytes()).hexdigest(),
        **rows_tested(data, row),
        metrics=finite(metrics),
    )


def _evaluate(task: Task, baseline: Baseline, rows: Features) -> tuple[Tensor, dict[str, float]]:
    """Returns predictions of a split's rows and the metrics that networks have."""
    prediction, values = torch.from_numpy(baseline.predict(rows, task.name)), {}
    for name, metric in task.metrics().items():
        metric.update(prediction, task.metric_target(rows.target))
        values[name] = float(metric.compute())
    return prediction, values
