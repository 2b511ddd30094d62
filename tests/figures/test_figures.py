"""Figures of a test in TensorBoard: their numbers are scikit-learn's, and no failing figure stops a run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
import torch
from conftest import Fit
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text
from sklearn import metrics as sklearn
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_data import QUICK, small_data

from datamodules import TableData, TextData
from experiments.figures import tensorboard_figures
from experiments.figures.calibration import calibration, draw_reliability
from experiments.figures.confusion import MAX_CLASSES, confusion, draw_confusion, merge_classes
from experiments.figures.drawing import pixels
from experiments.figures.residuals import draw_predicted, draw_residuals
from experiments.figures.roc_curves import draw_precision_recall, draw_roc, precision_recall, roc
from experiments.figures.tensorboard_figures import write_figures
from experiments.figures.worst_rows import draw_worst, table_of_worst, truth_and_prediction
from lit_models.metrics.classification_metrics import BINS
from lit_models.metrics.evaluation import Evaluation
from lit_models.tasks import TASKS
from lit_models.tasks.prediction_types import Classes, Labels, Values

SEEDS = st.integers(0, 2**32 - 1)
TINY = ("--data", "Tiny", "--model", "LitLinear", "--trainer.max_epochs", "2", "--figures", "true")


class FakeWriter:
    """SummaryWriter that stores what is written."""

    def __init__(self) -> None:
        self.images: dict[str, numpy.ndarray] = {}
        self.texts: dict[str, str] = {}
        self.scalars: dict[str, float] = {}

    def add_image(self, tag: str, image: numpy.ndarray, step: int, dataformats: str) -> None:
        assert tag not in self.images
        self.images[tag] = image

    def add_text(self, tag: str, text: str, step: int) -> None:
        self.texts[tag] = text

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        self.scalars[tag] = value


def written(task: str, outputs: int, data: Any, prediction: torch.Tensor) -> tuple[FakeWriter, list[str]]:
    data.setup("test")
    row = data.split.test
    kept, evaluation = FakeWriter(), Evaluation(row, data.targets(row), prediction[row], {})
    return kept, write_figures(kept, TASKS[task](outputs), data, evaluation, 3)


def drawn(seed: int, rows: int, classes: int, ties: bool) -> Classes:
    """Returns predictions with or without ties, of classes with or without rows."""
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, classes, generator=draw).double()
    probabilities = (logits.round() if ties else logits * 3).softmax(dim=1)
    return Classes(probabilities, torch.randint(classes, (rows,), generator=draw))


@QUICK
@given(SEEDS, st.integers(2, 60), st.integers(2, 5), st.booleans())
def test_counts_and_areas_are_those_of_scikit_learn(seed: int, rows: int, classes: int, ties: bool) -> None:
    outcome = drawn(seed, rows, classes, ties)
    target, guess = outcome.target.numpy(), outcome.probabilities.argmax(dim=1).numpy()
    wanted = sklearn.confusion_matrix(target, guess, labels=range(classes))
    assert confusion(outcome).tolist() == wanted.tolist()
    assert list(outcome.one_against_rest()) == ([1] if classes == 2 else list(range(classes)))
    for scores, has in outcome.one_against_rest().values():
        if has.any() and not has.all():
            assert roc(scores, has).area == pytest.approx(sklearn.roc_auc_score(has, scores), abs=1e-6)
            average = precision_recall(scores, has).area
            assert average == pytest.approx(sklearn.average_precision_score(has, scores), abs=1e-6)


@QUICK
@given(SEEDS, st.integers(1, 300), st.integers(2, 5), st.booleans())
def test_the_calibration_error_is_that_of_guo(seed: int, rows: int, classes: int, ties: bool) -> None:
    outcome = drawn(seed, rows, classes, ties)
    sure, right = outcome.probabilities.max(dim=1).values.numpy(), 0.0
    is_right = (outcome.probabilities.argmax(dim=1) == outcome.target).numpy()
    for bin in range(BINS):  # their equation 3
        inside = (sure > bin / BINS) & (sure <= (bin + 1) / BINS)
        if inside.any():
            right += inside.sum() / rows * abs(is_right[inside].mean() - sure[inside].mean())
    assert calibration(outcome).error == pytest.approx(right, abs=1e-9)


def test_calibration_of_known_rows() -> None:
    sure = torch.tensor([0.9, 0.9, 0.9, 0.9, 1.0])
    outcome = Classes(torch.stack([sure, 1 - sure], dim=1), torch.tensor([0, 0, 0, 1, 0]))
    assert calibration(outcome).error == pytest.approx(4 / 5 * 0.15, abs=1e-6)
    assert calibration(outcome).rows.tolist() == [0] * 13 + [4, 1]


def test_losses_are_those_of_scikit_learn() -> None:
    outcome = drawn(0, 50, 4, ties=False)
    each = [
        sklearn.log_loss([label], [row], labels=range(4))
        for label, row in zip(outcome.target.tolist(), outcome.probabilities.numpy(), strict=True)
    ]
    assert outcome.losses().tolist() == pytest.approx(each)
    chances, has = torch.tensor([[0.9, 0.2], [0.5, 0.6]]), torch.tensor([[1, 0], [0, 1]])
    each = [
        sklearn.log_loss(labels, row, labels=[0, 1]) for labels, row in zip(has.tolist(), chances.tolist(), strict=True)
    ]
    assert Labels(chances, has).losses().tolist() == pytest.approx(each)
    values = Values(torch.tensor([[1.0, 300.0], [3.0, 100.0]]), torch.tensor([[1.0, 100.0], [3.0, 300.0]]))
    assert values.losses().tolist() == pytest.approx([2.0, 2.0])


def test_many_classes_are_put_together_and_none_is_lost() -> None:
    outcome = drawn(0, 3000, 60, ties=False)
    counts = confusion(outcome)
    few, names = merge_classes(counts, [str(label) for label in range(60)])
    assert few.shape == (MAX_CLASSES, MAX_CLASSES)
    assert names[-1] == f"{60 - MAX_CLASSES + 1} others"
    assert few.sum() == counts.sum() == 3000
    kept = [int(name) for name in names[:-1]]
    assert few[:-1, :-1].tolist() == counts[kept][:, kept].tolist()
    others = [label for label in range(60) if label not in kept]
    assert few[-1, -1] == counts[others][:, others].sum()


CLASSES = {
    "visuals/1_confusion_rows",
    "visuals/2_confusion_fractions",
    "visuals/3_roc",
    "visuals/4_precision_recall",
    "visuals/5_reliability",
}


def test_images_and_series_are_drawn() -> None:
    y = torch.arange(60) % 3
    chances = drawn(1, 60, 3, ties=False).probabilities
    for shape in ((1, 8, 8), (3, 8, 8), (2, 20)):
        kept, notes = written("multiclass", 3, small_data(torch.rand(60, *shape), y), chances)
        assert not notes
        assert set(kept.images) == CLASSES | {"visuals/6_worst_rows"}
        assert all(image.std() > 10 for image in kept.images.values())
        assert set(kept.scalars) == {"test/ece"}


def test_the_worst_texts_and_table_rows_come_first_and_as_they_are_in_the_file(tmp_path: Path) -> None:
    texts = [f"word{row} | <b>bold</b> *star* {'x' * 700 if row == 5 else ''}" for row in range(60)]
    frame = polars.DataFrame({"text": texts, "size": range(60), "y": ["a", "b"] * 30})
    frame.write_csv(tmp_path / "rows.csv")
    path = str(tmp_path / "rows.csv")
    chance = torch.where(torch.arange(60) % 2 == 1, 0.9, 0.1).double()
    for data in (TextData(path, "text", "y"), TableData(path, "y", drop="text")):
        worst = int(data.split_now().test[4])
        prediction = chance.clone()
        prediction[worst] = 1 - chance[worst]
        kept, notes = written("binary", 1, data, prediction)
        assert not notes
        assert set(kept.images) == CLASSES
        heading, _, first, *_ = kept.texts["visuals/6_worst_rows"].splitlines()
        true, taken = "ab" if worst % 2 == 0 else "ba"
        assert first.startswith(f"| {worst} | {true} (0.10) | {taken} (0.90) | ")
        is_text = data.modality == "text"
        assert heading == f"| row | true y | predicted y | {'text' if is_text else 'size'} |"
        cell = rf"word{worst} \| &lt;b&gt;bold&lt;/b&gt; \*star\*" if is_text else f"{worst}"
        assert first.rstrip(" |").endswith(cell)


def test_a_wide_table_is_cut_and_says_so() -> None:
    rows = polars.DataFrame({f"column {index}": [1.0, None] for index in range(40)})
    table = table_of_worst(rows, ["3", "4"], [("a", "b"), ("b", "a")])
    assert table.splitlines()[0].count("column") == 30
    assert table.endswith("The first 30 of 40 columns.")


def test_regression_and_labels_have_figures_of_their_own() -> None:
    x = torch.randn(4000, 2)
    many = x.sum(dim=1, keepdim=True).expand(-1, 2) * torch.tensor([1.0, 1000.0])
    for y in (many, many[:100, :1]):
        data = small_data(x[: len(y)], y, "regression", ratios=(0.1, 0.05, 0.85))
        kept, notes = written("regression", y.shape[1], data, y.double() + 1)
        assert not notes
        assert set(kept.images) == {"visuals/1_predicted", "visuals/2_residuals"}
        assert "column 0" in kept.texts["visuals/3_worst_rows"]
    labels = (x > 0).long()
    kept, notes = written("multilabel", 2, small_data(x, labels, "multilabel"), x.sigmoid().double())
    assert not notes
    assert set(kept.images) == {"visuals/1_roc", "visuals/2_precision_recall"}


def test_one_class_alone_draws_what_is_defined() -> None:
    data = small_data(torch.rand(20, 2), torch.zeros(20).long(), stratify=False)
    data.num_outputs = 3
    kept, notes = written("multiclass", 3, data, torch.full((20, 3), 1 / 3).double())
    assert not notes
    assert set(kept.images) == CLASSES


def events_of(path: Path) -> EventAccumulator:
    return EventAccumulator(str(path), size_guidance={"images": 0, "tensors": 0}).Reload()


def test_a_fit_writes_each_figure_once_and_its_vitals_each_epoch(fit: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    record = fit(*TINY)
    assert (
        "train and val first: http://localhost:6006/?tagFilter=%5E(train%2Floss%7Cval%2F)#timeseries"
        in capsys.readouterr().out
    )
    events = events_of(record["path"])
    assert set(events.Tags()["images"]) == CLASSES
    for tag in CLASSES:
        (image,) = events.Images(tag)
        assert image.step == 6  # three of each epoch
    assert len(events.Tensors("visuals/6_worst_rows/text_summary")) == 1
    assert "test/ece" not in record["metrics"]
    rows = polars.read_parquet(record["path"] / "predictions.parquet")
    chances = torch.tensor(rows.select([f"prediction_{name}" for name in ("low", "middle", "high")]).to_numpy())
    (error,) = events.Scalars("test/ece")
    assert error.value == pytest.approx(calibration(Classes(chances, torch.tensor(rows["target"]))).error, abs=1e-6)
    assert [event.value > 0 for event in events.Scalars("train/gradient_norm")] == [True, True]
    assert all(100 < event.value < 100_000 for event in events.Scalars("train/memory_mib"))


@pytest.fixture
def bare(fit: Fit) -> Callable[..., dict[str, Any]]:
    return lambda *words: fit(*TINY, "--seed_everything", "1", *words)


def test_neither_a_failing_figure_nor_a_missing_package_loses_anything(
    bare: Fit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = bare("--figures", "false", "--run", "none")
    assert not events_of(wanted["path"]).Tags()["images"]

    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("no ink\nleft")

    monkeypatch.setattr(tensorboard_figures, "draw_roc", fail)
    failed = bare("--run", "failed")
    assert failed["metrics"] == wanted["metrics"]
    assert failed["status"] == "finished"
    note = "visuals/3_roc could not be drawn (ValueError: no ink left)"
    assert failed["notes"] == [note]
    assert note in capsys.readouterr().out
    assert set(events_of(failed["path"]).Tags()["images"]) == CLASSES - {"visuals/3_roc"}

    monkeypatch.setattr(tensorboard_figures, "find_spec", lambda name: None)
    without = bare("--run", "without")
    assert without["metrics"] == wanted["metrics"]
    assert without["notes"] == ["no figures: they need matplotlib; pip install '.[figures]' in the checkout"]
    events = events_of(without["path"])
    assert not events.Tags()["images"]
    assert events.Scalars("test/ece")
    assert json.loads((without["path"] / "record.json").read_text())["notes"] == without["notes"]


NAMES = ["$5^{", "_x$", "a_b", "$\\frac$"]


def texts_of(figure: Any) -> str:
    """Returns what a person reads in a figure: ``\\$`` is how matplotlib is asked for a dollar sign."""
    return " | ".join(text.get_text() for text in figure.findobj(match=Text)).replace("\\$", "$")


def test_names_of_classes_and_target_are_drawn_as_they_are(tmp_path: Path) -> None:
    frame = polars.DataFrame({"x": [float(index) for index in range(80)], "_cost_in_$": NAMES * 20})
    frame.write_csv(tmp_path / "my.csv")
    data = TableData(str(tmp_path / "my.csv"), "_cost_in_$")
    prediction = torch.softmax(torch.randn(80, 4, generator=torch.Generator().manual_seed(0)).double(), dim=1)
    _, notes = written("multiclass", 4, data, prediction)
    assert not notes
    outcome = TASKS["multiclass"](4).outcome(prediction, torch.arange(80) % 4)
    pixels(figure := draw_roc(outcome, NAMES, data.target_names))
    shown = texts_of(figure)
    assert all(name in shown for name in (*NAMES, "_cost_in_$: 80 test rows"))


FORMULA = "$\\frac$"
"""A name that matplotlib cannot draw as a formula."""


@pytest.mark.parametrize(("task", "shape"), [("multiclass", (2, 9)), ("regression", (1, 6, 6)), ("multilabel", (2,))])
def test_every_figure_draws_a_name_that_is_no_formula(task: str, shape: tuple[int, ...]) -> None:
    x = torch.rand(60, *shape)
    y = {"multiclass": torch.arange(60) % 3, "regression": torch.rand(60, 2), "multilabel": torch.rand(60, 3).round()}
    data = small_data(x, y[task].long() if task == "multilabel" else y[task], task)
    outputs = 2 if task == "regression" else 3
    data.class_names = () if task == "regression" else (FORMULA, f"_{FORMULA}", "a_b_c")
    data.target_names = (FORMULA, f"_{FORMULA}") if task == "regression" else (FORMULA,)
    prediction = torch.rand(60, outputs, generator=torch.Generator().manual_seed(0)).double()
    kept, notes = written(task, outputs, data, prediction.softmax(dim=1) if task == "multiclass" else prediction)
    assert not notes
    drawn_or_written = {*kept.images, *kept.texts}
    assert len(drawn_or_written) == {"multiclass": 6, "regression": 3, "multilabel": 3}[task]


def test_the_worst_rows_name_the_target_and_each_of_several() -> None:
    shown = texts_of(draw_worst([torch.rand(1, 5)], ("3",), [("a", "b")], ("_cost_in_$",)))
    assert "_cost_in_$: test rows with the highest loss" in shown
    values = Values(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]]))
    true, predicted = truth_and_prediction(values, 0, (), ("height", "weight"))
    assert {true, predicted} == {"height 1, weight 2", "height 3, weight 4"}
    assert truth_and_prediction(Values(values.target[:, :1], values.prediction[:, :1]), 0, (), ("height",))[0] in "13"
    table = table_of_worst(polars.DataFrame({"x": [1]}), ["3"], [("a", "b")], ("churn",))
    assert table.startswith("| row | true churn | predicted churn | x |")


def test_titles_name_the_target_and_the_classes() -> None:
    outcome = Classes(torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), torch.tensor([0, 1, 1]), binary=True)
    names, target = ("stays", "leaves"), ("churn",)
    for figure in (draw_roc(outcome, names, target), draw_precision_recall(outcome, names, target)):
        assert "churn: leaves against stays, 3 test rows" in texts_of(figure)
    assert "churn: 2 of 3 test rows are right" in texts_of(draw_confusion(outcome, names, target, by_row=True))
    shown = texts_of(draw_reliability(outcome, names, target))
    assert "churn: expected calibration error" in shown
    assert "probability of class leaves" in shown
    values = Values(torch.rand(5, 2), torch.rand(5, 2))
    for figure in (draw_predicted(values, ("height", "weight")), draw_residuals(values, ("height", "weight"))):
        assert "height: 5 test rows" in texts_of(figure)
        assert "weight: 5 test rows" in texts_of(figure)


def test_precision_without_skill_is_the_fraction_of_the_class() -> None:
    outcome = drawn(0, 50, 3, ties=False)
    (axes,) = draw_precision_recall(outcome, ("a", "b", "c")).axes
    dotted = [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == ":" and len(line.get_ydata())]
    assert dotted == pytest.approx([float((outcome.target == k).double().mean()) for k in range(3)])
    assert "no skill" in texts_of(axes.figure)


def test_each_channel_of_a_series_has_an_axis_of_its_own() -> None:
    series = [torch.stack([torch.rand(20), 1000 + torch.rand(20)]), torch.rand(2, 20)]
    figure = draw_worst(series, ("3", "4"), [("a", "b"), ("b", "a")])
    limits = [axis.get_ylim() for panel in figure.axes for axis in panel.child_axes]
    assert len(limits) == 4
    assert limits[0][1] < 2
    assert limits[1][0] > 999
    assert "row 3 (6 of 9 channels)" in texts_of(draw_worst([torch.rand(9, 5)], ("3",), [("a", "b")]))


def test_right_rows_are_counted_before_classes_are_merged() -> None:
    outcome = drawn(0, 300, 60, ties=False)
    right = int((outcome.probabilities.argmax(dim=1) == outcome.target).sum())
    assert f"{right} of 300 test rows are right" in texts_of(draw_confusion(outcome, (), (), by_row=False))
