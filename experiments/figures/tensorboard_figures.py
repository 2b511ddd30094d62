"""Writes a test's figures into TensorBoard."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import polars
from torch.utils.tensorboard import SummaryWriter

from datamodules import DataModule
from experiments.figures.calibration import calibration, draw_reliability
from experiments.figures.captions import truth_and_prediction
from experiments.figures.confusion import draw_confusion
from experiments.figures.drawing import pixels
from experiments.figures.residuals import draw_predicted, draw_residuals
from experiments.figures.roc_curves import draw_precision_recall, draw_roc
from experiments.figures.worst_rows import MOST, draw_worst, table_of_worst, texts_of_worst
from lit_models.metrics.evaluation import Evaluation
from lit_models.tasks import Task
from lit_models.tasks.prediction_types import Classes, Labels, Outcome, Values

WORST = "test_worst/rows"

Write = Callable[[], None]


def write_figures(writer: SummaryWriter, task: Task, data: DataModule, evaluation: Evaluation, step: int) -> list[str]:
    """Write what a person wants to see of a test; nothing that goes wrong here reaches the run.

    Args:
        writer: Of the run's events.
        task: The model's.
        data: Whose test rows they are.
        evaluation: Of the test.
        step: Of the training, at which TensorBoard shows them.

    Returns:
        A sentence for each thing that could not be drawn.
    """
    row, target, prediction = (one.cpu() for one in evaluation[:3])
    if not prediction.isfinite().all():
        return ["no figures: some predictions are not finite"]
    notes = []
    has_matplotlib = find_spec("matplotlib") is not None
    if not has_matplotlib:
        notes.append("no figures: matplotlib is not installed; pip install 'evenhand[figures]'")
    outcome = task.outcome(prediction, target)

    def image(tag: str, draw: Callable[[], Any]) -> tuple[str, Write]:
        return tag, lambda: writer.add_image(tag, pixels(draw()), step, dataformats="HWC") if has_matplotlib else None

    def everything() -> Iterator[tuple[str, Write]]:
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

    for tag, write in everything():
        try:
            write()
        except Exception as error:  # the run's results are worth more than a picture of them
            said = " ".join(f"{type(error).__name__}: {error}".split())
            notes.append(f"{tag} could not be drawn ({said[:200]})")
    return notes


def _write_worst(
    writer: SummaryWriter, outcome: Outcome, data: DataModule, row: Any, step: int, has_matplotlib: bool
) -> None:
    places = outcome.losses().argsort(descending=True, stable=True)[:MOST]
    said = [truth_and_prediction(outcome, place, data.class_names) for place in places.tolist()]
    ids, seen = row[places].tolist(), data.raw(row[places])
    if isinstance(seen, polars.DataFrame):
        writer.add_text(WORST, table_of_worst(seen, ids, said), step)
    elif isinstance(seen, polars.Series):
        writer.add_text(WORST, texts_of_worst(seen.to_list(), ids, said), step)
    elif has_matplotlib:
        writer.add_image(WORST, pixels(draw_worst(seen, ids, said)), step, dataformats="HWC")
