"""Rows that an export is checked on: test rows that the run kept, or random ones if there are none."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch
from torch import Tensor

from datamodules import DataError
from datamodules.preprocessing.inputs import TIME
from experiments.compare.load_runs import Unusable
from experiments.compare.read_predictions import Predictions, mean_predictions
from experiments.inference.predictor import Predictor
from experiments.run.record.export_samples import FILE, read_test_rows

MADE_UP = 64
"""Random rows to check with if the run kept none."""


@dataclass
class CheckRows:
    """Rows to check an export with."""

    raw: dict[str, Tensor]  # tensors of the signature
    row: Tensor  # ids (N,)
    target: Tensor | None = None  # of each row (N, ...); None for random rows
    recorded: Tensor | None = None  # predictions of the run (N, ...); None for random rows
    of: int = 0  # number of test rows that the run has


def check_rows(predictor: Predictor, runs: Sequence[Path | None]) -> CheckRows:
    """Returns test rows of runs with the mean of their predictions.

    They are random rows if there is only a checkpoint, or if the runs have no test rows in common. Raises ``DataError``
    if the test rows that the first run kept do not fit its predictions.
    """
    run = runs[0]
    kept = read_test_rows(run) if run is not None else None
    tested = _tested(runs, predictor.task) if kept is not None else None
    if kept is None or run is None or tested is None:
        random = predictor.members[0].inputs.example_rows(MADE_UP, torch.Generator().manual_seed(0))
        return CheckRows(_padded(predictor, random, of_run=False), torch.arange(MADE_UP))
    if fault := _fault(kept, predictor):
        raise DataError(f"{run / FILE} is damaged, {fault}; delete it, or test the run again")
    row = kept.pop("row")
    index = numpy.searchsorted(tested.row, row.numpy()).clip(max=len(tested.row) - 1)
    if (tested.row[index] != row.numpy()).any():
        raise DataError(f"{run} kept other test rows than it predicted; test the run again")
    target, recorded = (torch.from_numpy(values[index]) for values in (tested.target, tested.prediction))
    return CheckRows(_padded(predictor, kept, of_run=True), row, target, recorded, of=len(tested.row))


def eager(predictor: Predictor, raw: dict[str, Tensor]) -> Tensor:
    """Predicts raw rows as ``evenhand predict`` does (N, ...), float64."""
    return predictor.compute_raw(raw)


def _tested(runs: Sequence[Path | None], task: str) -> Predictions | None:
    """Returns the mean predictions of test rows, or None if a run has none, or several runs have different rows."""
    folders = [run for run in runs if run is not None and (run / "predictions.parquet").is_file()]
    if len(folders) < len(runs):
        return None
    try:
        return mean_predictions(folders, task)
    except Unusable as error:
        if len(folders) > 1:
            return None
        raise DataError(f"{folders[0]} cannot be exported, {error}; test the run again") from error


def _padded(predictor: Predictor, raw: dict[str, Tensor], of_run: bool) -> dict[str, Tensor]:
    """Converts rows to the tensors of the signature, with all steps, and lengths if the network takes them."""
    specs = {spec["name"]: spec for spec in predictor.inputs.signature()}
    x = raw["x"].to(getattr(torch, specs["x"]["dtype"]))
    if specs["x"]["shape"][-1] == TIME:
        x = torch.nn.functional.pad(x, (0, max(0, predictor.model.input_shape[-1] - x.shape[-1])))
        raw = {"lengths": torch.full((len(x),), x.shape[-1]), **raw}
    raw = {**raw, "x": x}
    if "lengths" in raw and not _takes_lengths(predictor, raw):
        if of_run and (raw["lengths"] < x.shape[-1]).any():
            raise DataError(f"{type(predictor.model).__name__} takes no lengths, and test rows have different ones")
        del raw["lengths"]
    return {name: raw[name] for name in ("x", "categories", "lengths") if name in raw}


def _takes_lengths(predictor: Predictor, raw: dict[str, Tensor]) -> bool:
    """Returns False for a user's network that takes whole rows alone."""
    row = {name: tensor[:1] for name, tensor in raw.items()}
    try:
        for member in predictor.members:
            x = member.inputs.preprocessor()(row["x"], row["lengths"])
            member.model(x, row.get("categories"), row["lengths"])
    except TypeError:
        return False
    return True


def _fault(kept: dict[str, Tensor], predictor: Predictor) -> str | None:
    """Returns why the model cannot have been tested on rows; the network would fail without a reason."""
    model = predictor.model
    row, x = kept.get("row"), kept.get("x")
    if row is None or row.dim() != 1 or not len(row) or row.dtype != torch.int64:
        return "row is no list of row numbers"
    if x is None or x.dim() != 1 + len(model.input_shape) or len(x) != len(row):
        return f"x has not {len(row):,} rows of {len(model.input_shape)} axes"
    specs = {spec["name"]: spec for spec in predictor.inputs.signature()}
    free = 1 if specs["x"]["shape"][-1] == TIME else 0  # steps are padded later
    sizes = tuple(specs["x"]["shape"][1:])
    if tuple(x.shape[1 : x.dim() - free]) != sizes[: len(sizes) - free]:
        return f"a row of x is {tuple(x.shape[1:])}, and the model takes {sizes}"
    limits = {"categories": (model.cardinalities, 2), "lengths": ((x.shape[-1] + 1,), 1)}
    if model.vocab_size:
        limits["x"] = ((model.vocab_size,) * x.shape[-1], 2)
    for name, (sizes, dimensions) in limits.items():
        indices = kept.get(name)
        if indices is None:
            if name == "categories" and sizes:
                return "categories are missing"
            continue
        width = len(sizes) if dimensions == 2 else None
        fits = indices.dim() == dimensions and len(indices) == len(row) and width in (None, indices.shape[-1])
        if not fits or indices.dtype.is_floating_point:
            return f"{name} are no whole numbers of each row"
        if bool(((indices < 0) | (indices >= torch.tensor(sizes))).any()):
            return f"{name} has a value that no row of the data has"
    return None
