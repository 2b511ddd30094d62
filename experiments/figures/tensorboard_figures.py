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
from experiments.figures.worst_rows import MAX_ROWS, draw_worst, table_of_worst, texts_of_worst, truth_and_prediction
from lit_models.metrics.evaluation import Evaluation
from lit_models.tasks import Task
from lit_models.tasks.prediction_types import Classes, Labels, Outcome, Values

WORST = "test_worst/rows"

Write = Callable[[], None]


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

    def image(tag: str, draw: Callable[[], Any]) -> tuple[str, Write]:
        return tag, lambda: writer.add_image(tag, pixels(draw()), step, dataformats="HWC") if has_matplotlib else None

    def figures() -> Iterator[tuple[str, Write]]:
        names = data.class_names
        match outcome:
            case Classes():
                yield "test/ece", lambda: writer.add_scalar("test/ece", calibration(outcome).error, step)
                yield image("test_confusion/rows", lambda: draw_confusion(outcome, names, by_row=False))
                yield image("test_confusion/shares", lambda: draw_confusion(outcome, names, by_row=True))
                yield image("test_calibration/reliability", lambda: draw_reliability(outcome))
            case Values():
                yield image("test_regression/predicted", lambda: draw_predicted(outcome))
                yield image("test_regression/residuals", lambda: draw_residuals(outcome))
        if isinstance(outcome, Classes | Labels):
            yield image("test_curves/roc", lambda: draw_roc(outcome, names))
            yield image("test_curves/precision_recall", lambda: draw_precision_recall(outcome, names))
        yield WORST, lambda: _write_worst(writer, outcome, data, row, step, has_matplotlib)

    for tag, write in figures():
        try:
            write()
        except Exception as error:
            message = " ".join(f"{type(error).__name__}: {error}".split())
            notes.append(f"{tag} could not be drawn ({message[:200]})")
    return notes


def _write_worst(
    writer: SummaryWriter, outcome: Outcome, data: DataModule, row: Any, step: int, has_matplotlib: bool
) -> None:
    worst = outcome.losses().argsort(descending=True, stable=True)[:MAX_ROWS]
    captions = [truth_and_prediction(outcome, index, data.class_names) for index in worst.tolist()]
    ids, raw = row[worst].tolist(), data.raw(row[worst])
    if isinstance(raw, polars.DataFrame):
        writer.add_text(WORST, table_of_worst(raw, ids, captions), step)
    elif isinstance(raw, polars.Series):
        writer.add_text(WORST, texts_of_worst(raw.to_list(), ids, captions), step)
    elif has_matplotlib:
        writer.add_image(WORST, pixels(draw_worst(raw, ids, captions)), step, dataformats="HWC")
