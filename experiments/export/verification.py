"""Verification of an artefact against its run: differences by batch size and steps, and metrics of its rows."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from datamodules.errors import DataError, raise_shortage
from datamodules.preprocessing.json_rows import reason_of
from experiments.export.check_rows import CheckRows
from experiments.export.exported_predictor import Exported, load_export
from experiments.run.record.export_samples import save_tensors
from lit_models.metrics.task_metrics import MEASURES

ROWS = "rows.safetensors"
BATCHES = (1, 2, 64)
AT_MOST = 1e-5
"""Largest difference of a probability, or of a value in standard deviations of the train rows' target."""


def write_rows(folder: Path, rows: CheckRows, expected: Tensor) -> None:
    """Writes the rows, the predictions of the run's network, and the targets of test rows."""
    target = {} if rows.target is None else {"target": rows.target}
    save_tensors(folder / ROWS, {**rows.raw, "expected": expected, "row": rows.row, **target})


def check(exported: Exported, folder: Path) -> dict[str, dict[str, Any]]:
    """Predicts the rows of an artefact again; raises ``DataError`` for one that is further off than ``AT_MOST``.

    Returns the largest ``differences`` by batch size and steps, and the ``metrics`` of the artefact's own predictions.
    """
    try:
        raw = load_file(folder / ROWS)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{folder / ROWS} cannot be read: {error}; export the run again") from error
    expected, target = raw.pop("expected"), raw.pop("target", None)
    del raw["row"]
    scale = torch.tensor(exported.signature["checked"]["scale"], dtype=torch.float64)
    differences: dict[str, float] = {}
    for name, index in _batches(raw):
        found = _difference(exported.run(_rows(raw, index)), expected[index], scale)
        differences[name] = max(found, differences.get(name, 0.0))
    slices = (slice(first, first + 256) for first in range(0, len(expected), 256))
    whole = torch.cat([exported.run(_rows(raw, rows)) for rows in slices])
    differences["all"] = _difference(whole, expected, scale)
    for name, found in differences.items():
        if not found <= AT_MOST:
            raise DataError(
                f"what {folder} answers is {found:.1e} off the run at batch {name}, and {AT_MOST:g} is the most"
            )
    return {
        "differences": differences,
        "metrics": {} if target is None else metrics(exported.task, whole, target, exported.rule.threshold),
    }


def metrics(task: str, prediction: Tensor, target: Tensor, threshold: float = 0.5) -> dict[str, float | None]:
    """Computes every metric of a task, by name; None if it is undefined."""
    weights = numpy.ones((1, len(target)))
    arrays = target.double().numpy(), prediction.double().numpy()
    values = {name: float(measure(*arrays, weights, threshold)[0]) for name, measure in MEASURES[task].items()}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def verify(folder: Path, packages: list[str]) -> str:
    """Verifies an artefact by its own files alone; returns a sentence for the terminal.

    Raises ``DataError`` if a byte was changed after it was written, or predictions differ from those at the export.
    """
    exported = load_export(folder, packages)
    about = exported.signature["checked"]
    try:
        found = check(exported, folder)
    except DataError:
        raise
    except Exception as error:  # of the runtime that is given the rows
        raise_shortage(error)
        raise DataError(
            f"{folder / ROWS} does not fit the artefact ({reason_of(error)}); export the run again"
        ) from error
    for name, value in about["metrics"].items():
        now = found["metrics"].get(name)
        same = now == value if now is None or value is None else abs(now - value) <= 1e-6 * max(1.0, abs(value))
        if not same:
            raise DataError(f"{name} of the rows of {folder} is {now}, and it was {value} when it was exported")
    files, worst = exported.signature["files"], max(found["differences"].values())
    return f"{folder}: {len(files)} files as they were written, {summary(about)}, now {worst:.1e}"


def summary(about: dict[str, Any]) -> str:
    """Describes the rows that an artefact was checked on and the largest difference."""
    rows = f"{about['rows']:,} of {about['test_rows']:,} test rows"
    if not about["test_rows"]:
        rows = f"{about['rows']:,} made up rows, since the run's test rows are not beside the checkpoint"
    return f"largest difference {max(about['differences'].values()):.1e} on {rows}"


def _batches(raw: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yields indices of rows: the first ones, or the longest and the shortest; repeated if there are too few."""
    count = len(raw["x"])
    orders = {"": torch.arange(count)}
    if "lengths" in raw:
        orders = {" of long rows": raw["lengths"].argsort(descending=True), " of short rows": raw["lengths"].argsort()}
    for size in BATCHES:
        for name, order in orders.items():
            yield f"{size}{name}", order[torch.arange(size) % count]


def _rows(raw: dict[str, Tensor], index: Tensor | slice) -> dict[str, Tensor]:
    """Returns some rows, cut to the steps of the longest."""
    rows = {name: tensor[index] for name, tensor in raw.items()}
    if "lengths" in rows:
        rows["x"] = rows["x"][..., : int(rows["lengths"].max())]
    return rows


def _difference(found: Tensor, expected: Tensor, scale: Tensor) -> float:
    if found.shape != expected.shape:
        return math.inf
    gap = ((found - expected) / scale).abs()
    return float(gap.max()) if gap.isfinite().all() else math.inf
