"""The rows that an export is checked on: test rows that the run kept, or made up ones where there are none."""

from dataclasses import dataclass
from pathlib import Path

import numpy
import polars
import torch
from torch import Tensor

from datamodules import DataError
from datamodules.imaging.inputs import ImageInputs
from datamodules.preprocessing.inputs import ArrayInputs, Chunk, Inputs
from datamodules.preprocessing.normalization import Normalizer, Quantiles, Statistics
from datamodules.sequences.inputs import SeriesInputs
from datamodules.sequences.padded_series import fill_gaps
from datamodules.tables.columns import Columns
from datamodules.tables.inputs import TableInputs
from experiments.compare.load_runs import Unusable
from experiments.compare.read_predictions import read_predictions
from experiments.export.kept_rows_check import check_kept_rows
from experiments.inference.predictor import Predictor
from experiments.run.record.export_samples import FILE, read_test_rows

MADE_UP = 64
"""Rows to check with where the run kept none."""


@dataclass
class CheckRows:
    """Rows with what is known of them.

    Args:
        raw: What the graph is given.
        target: Of each row (N, ...); None for made up ones.
        recorded: What the run predicted of them (N, ...); None for made up ones.
        row: Their ids (N,).
        of: Number of test rows that the run has.
    """

    raw: dict[str, Tensor]
    row: Tensor
    target: Tensor | None = None
    recorded: Tensor | None = None
    of: int = 0


def check_rows(predictor: Predictor, run: Path | None) -> CheckRows:
    """Test rows of a run with its predictions; made up ones where there is only a checkpoint.

    Args:
        predictor: Of the run.
        run: The run's folder, if there is one.

    Raises:
        DataError: Where what the run kept of its test rows does not fit its predictions.
    """
    kept = read_test_rows(run) if run is not None else None
    if kept is None or run is None or not (run / "predictions.parquet").is_file():
        return CheckRows(_padded(made_up(predictor), predictor), torch.arange(MADE_UP))
    check_kept_rows(kept, predictor.model, run / FILE)
    row = kept.pop("row")
    try:
        tested = read_predictions(run, predictor.task)
    except Unusable as error:
        raise DataError(f"{run} cannot be exported, {error}; test the run again") from error
    place = numpy.searchsorted(tested.row, row.numpy()).clip(max=len(tested.row) - 1)
    if (tested.row[place] != row.numpy()).any():
        raise DataError(f"{run} kept other test rows than it predicted; test the run again")
    target, recorded = (torch.from_numpy(values[place]) for values in (tested.target, tested.prediction))
    return CheckRows(_padded(kept, predictor), row, target, recorded, of=len(tested.row))


def eager(predictor: Predictor, raw: dict[str, Tensor]) -> Tensor:
    """What the network predicts of raw rows by the way of ``evenhand predict`` (N, ...), float64."""
    count = len(raw["x"])
    ids = polars.DataFrame({"row": numpy.arange(count)})
    return predictor.compute(Chunk(ids, prepared(predictor.inputs, raw), ids.clear()))


def prepared(inputs: Inputs, raw: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of ``inputs``, of those of ``inputs.unprepared()``."""
    x, lengths = raw["x"], raw.get("lengths")
    match inputs:
        case TableInputs():
            names, every = list(inputs.encoding.medians), torch.arange(len(x))
            columns = Columns(x, torch.empty(len(x), 0), names, [], [], {})
            return {**raw, "x": inputs.normalizer.apply(inputs.encoding.numbers(columns, every))}
        case SeriesInputs():
            steps = torch.full((len(x),), x.shape[2]) if lengths is None else lengths
            return inputs.tensors(fill_gaps(x, steps), steps)
        case ArrayInputs():
            return inputs.tensors(x, lengths)
        case ImageInputs():
            return inputs.tensors(x)
    return raw


def made_up(predictor: Predictor) -> dict[str, Tensor]:
    """Rows that look like the train rows in each number alone."""
    model, inputs = predictor.model, predictor.inputs
    draw = torch.Generator().manual_seed(0)
    shape = (MADE_UP, *model.input_shape)
    steps = model.input_shape[-1]
    lengths = torch.randint(max(1, steps // 2), steps + 1, (MADE_UP,), generator=draw)
    if model.modality == "text":
        return {"x": torch.randint(2, max(3, model.vocab_size), shape, generator=draw), "lengths": lengths}
    if isinstance(inputs, ImageInputs):
        return {"x": torch.randint(0, 256, shape, generator=draw, dtype=torch.uint8)}
    assert isinstance(inputs, TableInputs | SeriesInputs | ArrayInputs)
    raw = {"x": _undone(inputs.normalizer, torch.randn(shape, generator=draw, dtype=torch.float64))}
    if model.cardinalities:
        raw["categories"] = torch.stack(
            [torch.randint(0, size, (MADE_UP,), generator=draw) for size in model.cardinalities], dim=1
        )
    if isinstance(inputs, SeriesInputs):
        raw["lengths"] = lengths
    return raw


def _undone(normalizer: Normalizer, x: Tensor) -> Tensor:
    """Numbers of which the normalization is about ``x`` (N, F) or (N, C, ...)."""
    shape = (1, -1) + (1,) * (x.dim() - 2)
    if isinstance(normalizer, Quantiles):
        low, high = normalizer.values[:, 0].view(shape), normalizer.values[:, -1].view(shape)
        between: Tensor = low + torch.special.ndtr(x) * (high - low)
        return between
    assert isinstance(normalizer, Statistics)
    return x * normalizer.scale.view(shape) + normalizer.center.view(shape)


def _padded(raw: dict[str, Tensor], predictor: Predictor) -> dict[str, Tensor]:
    """As the graph takes it: numbers in float64, lengths where the network takes any, and all steps."""
    model, inputs = predictor.model, predictor.inputs
    x = raw["x"]
    if x.dtype.is_floating_point or isinstance(inputs, ArrayInputs):
        x = x.double()
    raw = {**raw, "x": x}
    if model.modality in ("series", "text"):
        x = torch.nn.functional.pad(x, (0, max(0, model.input_shape[-1] - x.shape[-1])))
        raw["x"] = x
        if "lengths" not in raw and isinstance(inputs, SeriesInputs):
            raw["lengths"] = torch.full((len(x),), x.shape[-1])
        if "lengths" in raw and not _takes_lengths(predictor, raw):
            if (raw["lengths"] < x.shape[-1]).any() and not isinstance(inputs, SeriesInputs):
                raise DataError(f"{type(model).__name__} takes no lengths, and the test rows have different ones")
            del raw["lengths"]
    return {name: raw[name] for name in ("x", "categories", "lengths") if name in raw}


def _takes_lengths(predictor: Predictor, raw: dict[str, Tensor]) -> bool:
    """Whether the network can be told where rows end; one of a person's own may be made for whole rows alone."""
    row = prepared(predictor.inputs, {name: tensor[:1] for name, tensor in raw.items()})
    try:
        predictor.model(row["x"], row.get("categories"), raw["lengths"][:1])
    except TypeError:
        return False
    return True
