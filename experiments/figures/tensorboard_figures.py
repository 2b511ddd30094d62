"""Writes a test's figures into TensorBoard."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import polars
from torch.utils.tensorboard import SummaryWriter

from datamodules import DataModule
from experiments.figures.calibration import calibration, draw_reliability
from experiments.figures.confusion import draw_confusion
from experiments.figures.drawing import pixels
from experiments.figures.residuals import draw_predicted, draw_residuals
from experiments.figures.roc_curves import draw_precision_recall, draw_roc
from experiments.figures.worst_rows import (
    MAX_ROWS,
    draw_worst,
    named_rows,
    table_of_worst,
    texts_of_worst,
    truth_and_prediction,
)
from lit_models.metrics.evaluation import Evaluation
from lit_models.tasks import Task
from lit_models.tasks.prediction_types import Classes, Labels, Outcome, Values

GROUP = "visuals"
"""TensorBoard sorts groups of tags by name: behind test, train and val, so that curves come before figures."""

Draw = Callable[[], Any]


def write_figures(writer: SummaryWriter, task: Task, data: DataModule, evaluation: Evaluation, step: int) -> list[str]:
    """Writes the figures of a test; returns a sentence for each one that could not be drawn.

    No error is raised: the run's results are worth more than its figures.
    """
    row, target, prediction = (column.cpu() for column in evaluation[:3])
    if not prediction.isfinite().all():
        return ["no figures: some predictions are not finite"]
    notes = []
    has_matplotlib = find_spec("matplotlib") is not None
    if not has_matplotlib:
        notes.append("no figures: they need matplotlib; pip install '.[figures]' in the checkout")
    outcome = task.outcome(prediction, target)
    uncalibrated = None if evaluation.uncalibrated is None else evaluation.uncalibrated.cpu()
    before = None if uncalibrated is None else task.outcome(uncalibrated, target)

    def image(tag: str, draw: Draw) -> Callable[[], None]:
        return lambda: writer.add_image(tag, pixels(draw()), step, dataformats="HWC") if has_matplotlib else None

    figures = {f"{GROUP}/{n}_{name}": draw for n, (name, draw) in enumerate(_figures(outcome, data, before), start=1)}
    writes = {tag: image(tag, draw) for tag, draw in figures.items()}
    worst = f"{GROUP}/{len(figures) + 1}_worst_rows"
    writes[worst] = lambda: _write_worst(writer, worst, outcome, data, row, step, has_matplotlib)
    if isinstance(outcome, Classes) and "ece" not in evaluation.metrics:
        writes["test/ece"] = lambda: writer.add_scalar("test/ece", calibration(outcome).error, step)
    if isinstance(before, Classes):
        writes["test/ece_uncalibrated"] = lambda: writer.add_scalar(
            "test/ece_uncalibrated", calibration(before).error, step
        )
    for tag, write in writes.items():
        try:
            write()
        except Exception as error:
            message = " ".join(f"{type(error).__name__}: {error}".split())
            notes.append(f"{tag} could not be drawn ({message[:200]})")
    return notes


def _figures(outcome: Outcome, data: DataModule, before: Outcome | None) -> Iterator[tuple[str, Draw]]:
    """Yields the names of the figures, the most telling one first, each with a function that draws it.

    ``before`` has the predictions ahead of calibration, if there is one.
    """
    names = data.class_names
    target = data.target_names if len(data.target_names) == 1 else ()  # several targets are the labels themselves
    match outcome:
        case Classes():
            yield "confusion_rows", lambda: draw_confusion(outcome, names, target, by_row=False)
            yield "confusion_fractions", lambda: draw_confusion(outcome, names, target, by_row=True)
        case Values():
            yield "predicted", lambda: draw_predicted(outcome, data.target_names)
            yield "residuals", lambda: draw_residuals(outcome, data.target_names)
    if isinstance(outcome, Classes | Labels):
        yield "roc", lambda: draw_roc(outcome, names, target)
        yield "precision_recall", lambda: draw_precision_recall(outcome, names, target)
    if isinstance(outcome, Classes):
        yield (
            "reliability",
            lambda: draw_reliability(outcome, names, target, before if isinstance(before, Classes) else None),
        )


def _write_worst(
    writer: SummaryWriter, tag: str, outcome: Outcome, data: DataModule, row: Any, step: int, has_matplotlib: bool
) -> None:
    worst = outcome.losses().argsort(descending=True, stable=True)[:MAX_ROWS]
    targets = data.target_names
    captions = [truth_and_prediction(outcome, index, data.class_names, targets) for index in worst.tolist()]
    ids, raw = named_rows(row[worst].tolist(), data.id_columns(row[worst])), data.raw(row[worst])
    if isinstance(raw, polars.DataFrame):
        writer.add_text(tag, table_of_worst(raw, ids, captions, targets), step)
    elif isinstance(raw, polars.Series):
        writer.add_text(tag, texts_of_worst(raw.to_list(), ids, captions, targets), step)
    elif has_matplotlib:
        writer.add_image(tag, pixels(draw_worst(raw, ids, captions, targets)), step, dataformats="HWC")
