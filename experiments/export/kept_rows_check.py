"""Checks the test rows that a run kept against its model; damaged rows would fail in the network, without a reason."""

from pathlib import Path

import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.preprocessing.inputs import TIME
from experiments.inference.predictor import Predictor


def check_kept_rows(kept: dict[str, Tensor], predictor: Predictor, path: Path) -> None:
    """Raises ``DataError`` with the first tensor of a file that the model cannot have been tested on."""
    fault = _fault(kept, predictor)
    if fault is not None:
        raise DataError(f"{path} is damaged, {fault}; delete it, or test the run again")


def _fault(kept: dict[str, Tensor], predictor: Predictor) -> str | None:
    model = predictor.model
    row, x = kept.get("row"), kept.get("x")
    if row is None or row.dim() != 1 or not len(row) or row.dtype != torch.int64:
        return "row is no list of row numbers"
    if x is None or x.dim() != 1 + len(model.input_shape) or len(x) != len(row):
        return f"x has not {len(row):,} rows of {len(model.input_shape)} axes"
    specs = {spec["name"]: spec for spec in predictor.inputs.signature()}
    free = 1 if specs["x"]["shape"][-1] == TIME else 0  # steps are padded later
    if tuple(x.shape[1 : x.dim() - free]) != model.input_shape[: len(model.input_shape) - free]:
        return f"a row of x is {tuple(x.shape[1:])}, and the model takes {model.input_shape}"
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
