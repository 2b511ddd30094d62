"""Prediction of raw rows, by a checkpoint's network or an exported graph."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy
import polars
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.preprocessing.inputs import Chunk, Inputs
from datamodules.remote_files import local_file
from datamodules.types import TaskName
from experiments.inference.decision_rule import DecisionRule

PLAIN = DecisionRule()
"""The most probable class, and neither sets nor intervals."""
LARGEST = torch.finfo(torch.float32).max
TOO_LARGE = "a value is not within float32, in which the network computes; correct it"
NOT_FINITE = "the model gives no finite number for it; its values may be too large"


def answers(
    task: TaskName,
    prediction: Tensor,
    class_names: Sequence[str] = (),
    target_names: Sequence[str] = (),
    rule: DecisionRule = PLAIN,
) -> polars.DataFrame:
    """Builds the columns of predictions (N, ...); without names, classes, labels and targets are numbered.

    Returns the class as ``prediction`` with ``probability_<class>`` of each; for labels 0 or 1 as
    ``prediction_<label>`` with their ``probability_<label>``; for one target ``prediction``, for several
    ``prediction_<target>``, in the target's units. Of prediction sets there is ``in_set_<class or label>``, 1 or 0; of
    intervals ``lower`` and ``upper``, with ``_<target>`` for several.
    """
    values = prediction.double().numpy()
    if task == "binary":
        values = numpy.stack([1 - values, values], axis=1)
    columns = [numpy.ascontiguousarray(column) for column in values.T]
    names = [*(target_names if task == "regression" else class_names)] or [*map(str, range(len(columns)))]
    if task == "regression":
        ends = [""] if len(names) == 1 else [f"_{name}" for name in names]
        tables = {"prediction": values.T}
        if (bounds := rule.bounds(values)) is not None:
            tables |= {"lower": bounds[0].T, "upper": bounds[1].T}
        return polars.DataFrame(
            {f"{name}{end}": column for name, table in tables.items() for end, column in zip(ends, table, strict=True)}
        )
    probabilities = {f"probability_{name}": column for name, column in zip(names, columns, strict=True)}
    if (inside := rule.in_set(values)) is not None:
        sets = [column.astype(numpy.int8) for column in inside.T]
        probabilities |= {f"in_set_{name}": column for name, column in zip(names, sets, strict=True)}
    if task == "multilabel":
        labels = [(column > 0.5).astype(numpy.int8) for column in columns]
        predictions = {f"prediction_{name}": label for name, label in zip(names, labels, strict=True)}
        return polars.DataFrame(predictions | probabilities)
    # The first of two equal probabilities, as in torch; a half is class 0, as in torchmetrics.
    chosen = rule.is_class_1(values[:, 1]) if task == "binary" else values.argmax(axis=1)
    best = polars.Series("prediction", chosen.astype(numpy.uint32))
    return polars.DataFrame({"prediction": polars.Series(names).gather(best), **probabilities})


T = TypeVar("T")


@dataclass
class Predicted:
    """Predictions of some rows."""

    rows: polars.DataFrame  # ids and predictions
    bad: polars.DataFrame  # ids of the rows that cannot be predicted, and a ``reason`` for each
    counts: Counter[str]  # number of rows by the note that holds for them
    notes: tuple[str, ...]  # sentences about the whole source
    done: float  # fraction of the source that has been read, in [0, 1]


@dataclass(eq=False)
class Answering(ABC):
    """Base of what predicts raw rows; a subclass computes the predictions."""

    task: TaskName
    inputs: Inputs  # from raw rows to tensors
    class_names: tuple[str, ...] = ()  # of the classes or labels; empty for numbers
    target_names: tuple[str, ...] = ()  # of the targets, in the order of the outputs
    rule: DecisionRule = field(default=PLAIN)

    @abstractmethod
    def compute(self, chunk: Chunk) -> Tensor:
        """Computes the predictions of the rows of a chunk (N, ...), float64."""

    def predict(self, source: Any) -> polars.DataFrame:
        """Returns ``row``, counted from 0, and the columns of ``answers`` for each row of a source, in its order.

        A source is a frame of polars or pandas, or a dictionary of columns, for tables, texts, series in long form and
        paths of images; an array for images, series and rows of numbers; a list of texts, arrays or paths of images; or
        the path of a file or folder that ``evenhand predict --input`` takes.

        Raises ``DataError`` for a source that does not fit, or with the first row that cannot be predicted.
        """
        frames = []
        for predicted in self.chunks(source):
            if len(predicted.bad):
                row, reason = predicted.bad.select("row", "reason").row(0)
                raise DataError(f"row {row} cannot be predicted: {reason}")
            frames.append(predicted.rows)
        if not frames:
            raise DataError("there is no row to predict")
        return polars.concat(frames)

    def chunks(self, source: Any) -> Iterator[Predicted]:
        """Yields predictions of sources larger than memory, and bad rows with their reasons."""
        source = local_file(source) if isinstance(source, str) else source
        for whole in _ahead(self.inputs.chunks(source)):
            x = whole.tensors["x"]
            chunk = _without(whole, x.abs() > LARGEST, TOO_LARGE) if x.is_floating_point() else whole
            prediction = self.compute(chunk)
            chunk = _without(replace(chunk, tensors={"prediction": prediction}), ~prediction.isfinite(), NOT_FINITE)
            columns = answers(self.task, chunk.tensors["prediction"], self.class_names, self.target_names, self.rule)
            rows = chunk.ids.hstack(columns)
            yield Predicted(rows, chunk.bad, Counter(chunk.counts), chunk.notes, chunk.done)


def _without(chunk: Chunk, bad: Tensor, reason: str) -> Chunk:
    """Moves rows with a bad value, of (N, ...), to the bad rows of a chunk.

    Of a series in windows all windows are left out, and the series is listed once.
    """
    if not bad.any():
        return chunk
    owners = chunk.ids if chunk.owners is None else chunk.owners
    mask = polars.Series(bad.flatten(1).any(dim=1).numpy() if bad.dim() > 1 else bad.numpy())
    refused = owners.filter(mask).unique("row").with_columns(reason=polars.lit(reason)).select(chunk.bad.columns)
    good = ~owners["row"].is_in(refused["row"].implode())
    return replace(
        chunk,
        ids=chunk.ids.filter(good),
        tensors={name: column[torch.from_numpy(good.to_numpy())] for name, column in chunk.tensors.items()},
        bad=polars.concat([chunk.bad, refused]).sort("row"),
        owners=owners.filter(good),
    )


def _ahead(values: Iterator[T]) -> Iterator[T]:
    """Yields values while another thread computes the next one."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, values, None)
        while (value := following.result()) is not None:
            following = pool.submit(next, values, None)
            yield value
