"""Handmade folders of finished runs, as ``evenhand compare`` reads them."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy
import polars

Array = Any


def record_run(
    folder: Path,
    target: Array,
    prediction: Array,
    task: str = "multiclass",
    model: str = "LitMLP",
    seed: int = 0,
    split: str = "one",
    row: Array = None,
    settings: dict[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """Writes the folder of a finished run with predictions of its test rows; ``changes`` replace keys of the record."""
    folder.mkdir(parents=True)
    row = numpy.arange(len(target)) if row is None else row
    rank_by = {"multilabel": "f1_macro", "regression": "rmse"}.get(task, "accuracy")
    record = {
        "experiment": folder.parent.name,
        "run": folder.name,
        "status": "finished",
        "started": f"2026-01-01T00:00:{seed % 60:02d}+00:00",
        "model": model,
        "data": "Blobs",
        "task": task,
        "seed": seed,
        "rank_by": f"test/{rank_by}",
        "parameters": 1000,
        "rows": {"train": 5 * len(target), "val": len(target), "test": len(target)},
        "fingerprints": {"data": "blobs", "split": hashlib.sha256(split.encode()).hexdigest()},
        "hyperparameters": {"seed": seed, "max_epochs": 3, "data": "Blobs", "data.split_seed": split, "model": model}
        | (settings or {}),
        "seconds": 2.0 + seed,
        "metrics": {"test/loss": 0.5},
    }
    (folder / "record.json").write_text(json.dumps(record | changes))
    columns = {"row": row, **_columns("target", target), **_columns("prediction", prediction)}
    polars.DataFrame(columns).write_parquet(folder / "predictions.parquet")
    return folder


def guesses(generator: numpy.random.Generator, target: Array, skill: Array, classes: int = 3) -> Array:
    """Draws probabilities (N, classes) that favor the right class by ``skill``, a number or an array (N,)."""
    logits = generator.normal(size=(len(target), classes))
    logits[numpy.arange(len(target)), target] += skill
    return numpy.exp(logits) / numpy.exp(logits).sum(axis=1, keepdims=True)


def _columns(name: str, values: Array) -> dict[str, Array]:
    values = numpy.asarray(values)
    if values.ndim == 1:
        return {name: values}
    return {f"{name}_{index}": column for index, column in enumerate(values.T)}
