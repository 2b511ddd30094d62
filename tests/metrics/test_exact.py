"""Metrics of training against scikit-learn's: exact, or reported as undefined, never a made-up number."""

import warnings
from collections.abc import Callable

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn
from sklearn.exceptions import UndefinedMetricWarning
from tiny_data import QUICK, model_for, quiet_trainer, small_data
from torch import Tensor

from lit_models.metrics.classification_metrics import roc_area
from lit_models.tasks import TASKS

# Few values, so that scores tie and some lie on the threshold; short, so that classes are missing.
LOGITS = st.sampled_from([-2.0, -0.5, 0.0, 0.5, 2.0])
UNITS = st.integers(-16, 16).map(lambda eighths: eighths / 8)
CENTERS_AND_SCALES = st.sampled_from([(0.0, 1.0), (1e6, 1.0), (0.0, 1e-5), (1e6, 1e-5)])


def matrix(rows: int, columns: int, elements: st.SearchStrategy[float]) -> st.SearchStrategy[Tensor]:
    row = st.lists(elements, min_size=columns, max_size=columns)
    return st.lists(row, min_size=rows, max_size=rows).map(torch.tensor)


def labelled(
    columns: st.SearchStrategy[int], target: Callable[[int, int], st.SearchStrategy[Tensor]]
) -> st.SearchStrategy:
    """Returns a strategy for outputs (N, columns) and their targets."""
    sizes = st.tuples(st.integers(1, 12), columns)
    return sizes.flatmap(lambda size: st.tuples(matrix(*size, LOGITS), target(*size)))


def classes_of(rows: int, classes: int) -> st.SearchStrategy[Tensor]:
    return st.lists(st.integers(0, classes - 1), min_size=rows, max_size=rows).map(torch.tensor)


def labels_of(rows: int, labels: int) -> st.SearchStrategy[Tensor]:
    return matrix(rows, labels, st.integers(0, 1))


def measured(name: str, outputs: Tensor, target: Tensor, center: float = 0.0, scale: float = 1.0) -> dict[str, float]:
    """Computes the task's metrics of a network's outputs, as a model does."""
    task = TASKS[name](outputs.shape[1])
    task.set_target_statistics(torch.tensor(center), torch.tensor(scale))
    metrics = task.metrics()
    for metric in metrics.values():
        metric.update(task.predict(outputs), task.metric_target(target))
    return {name: float(metric.compute()) for name, metric in metrics.items()}


def auroc(target: numpy.ndarray, score: numpy.ndarray) -> float:
    """Computes scikit-learn's AUROC, NaN where it is undefined."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        try:
            return float(sklearn.roc_auc_score(target, score))
        except ValueError:
            return float("nan")


def close(expected: dict[str, float]) -> object:
    return pytest.approx(expected, abs=1e-6, rel=1e-6, nan_ok=True)


@QUICK
@given(labelled(st.just(1), lambda rows, _: classes_of(rows, 2)))
def test_binary_metrics_are_scikit_learns(case: tuple[Tensor, Tensor]) -> None:
    outputs, target = case
    probability, y = outputs.double().sigmoid().squeeze(1).numpy(), target.numpy()
    positive = probability > 0.5
    assert measured("binary", outputs, target) == close(
        {
            "accuracy": sklearn.accuracy_score(y, positive),
            "precision_binary": sklearn.precision_score(y, positive, zero_division=0),
            "recall_binary": sklearn.recall_score(y, positive, zero_division=0),
            "f1_binary": sklearn.f1_score(y, positive, zero_division=0),
            "auroc": auroc(y, probability),
        }
    )


@QUICK
@given(labelled(st.integers(2, 5), classes_of))
def test_multiclass_metrics_are_scikit_learns(case: tuple[Tensor, Tensor]) -> None:
    outputs, target = case
    probability, y = outputs.double().softmax(dim=1).numpy(), target.numpy()
    predicted = probability.argmax(axis=1)
    assert measured("multiclass", outputs, target) == close(
        {
            "accuracy": sklearn.accuracy_score(y, predicted),
            "precision_macro": sklearn.precision_score(y, predicted, average="macro", zero_division=0),
            "recall_macro": sklearn.recall_score(y, predicted, average="macro", zero_division=0),
            "f1_macro": sklearn.f1_score(y, predicted, average="macro", zero_division=0),
            "auroc_macro": numpy.mean([auroc(y == label, score) for label, score in enumerate(probability.T)]),
        }
    )


@QUICK
@given(labelled(st.integers(2, 4), labels_of))
def test_multilabel_metrics_are_scikit_learns(case: tuple[Tensor, Tensor]) -> None:
    outputs, target = case
    probability, y = outputs.double().sigmoid().numpy(), target.numpy()
    positive = probability > 0.5
    assert measured("multilabel", outputs, target) == close(
        {
            "accuracy_micro": (positive == y).mean(),
            "precision_macro": sklearn.precision_score(y, positive, average="macro", zero_division=0),
            "recall_macro": sklearn.recall_score(y, positive, average="macro", zero_division=0),
            "f1_macro": sklearn.f1_score(y, positive, average="macro", zero_division=0),
            "auroc_macro": numpy.mean([auroc(*label) for label in zip(y.T, probability.T, strict=True)]),
        }
    )


@QUICK
@given(
    st.tuples(st.integers(1, 12), st.integers(1, 3)).flatmap(
        lambda size: st.tuples(matrix(*size, UNITS), matrix(*size, UNITS))
    ),
    CENTERS_AND_SCALES,
)
def test_regression_metrics_are_scikit_learns(case: tuple[Tensor, Tensor], units: tuple[float, float]) -> None:
    outputs, standard = case
    center, scale = units
    target = center + scale * standard.double()
    y, predicted = target.numpy(), outputs.double().numpy() * scale + center
    defined = len(y) > 1 and (y != y[0]).any(axis=0).all()
    expected = {
        "mae": sklearn.mean_absolute_error(y, predicted),
        "rmse": sklearn.root_mean_squared_error(y, predicted),
        "r2": sklearn.r2_score(y, predicted) if defined else numpy.nan,
    }
    # In units of 1e-5 an absolute tolerance of 1e-6 would let anything pass.
    tight = pytest.approx(expected, rel=1e-6, abs=1e-12, nan_ok=True)
    assert measured("regression", outputs, target, center, scale) == tight
    if target.shape[1] == 1:
        assert measured("regression", outputs, target.squeeze(1), center, scale) == tight


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_confident_predictions_keep_their_rank(task: str) -> None:
    # In float32 the probabilities of these logits are all 1, and the ranking a tie.
    outputs, target = torch.tensor([[20.0], [22.0], [24.0], [26.0]]), torch.tensor([0, 0, 1, 1])
    if task == "binary":
        assert measured(task, outputs, target)["auroc"] == 1
    else:
        assert measured(task, outputs.expand(4, 2), target.unsqueeze(1).expand(4, 2))["auroc_macro"] == 1


@pytest.mark.parametrize(
    ("task", "target"),
    [
        ("binary", torch.arange(12) % 2),
        ("multiclass", torch.arange(12) % 3),
        ("multilabel", torch.stack([torch.arange(12) % 2, torch.arange(12) // 6], dim=1)),
        ("regression", torch.arange(12.0)),
    ],
)
def test_predictions_that_are_not_finite_have_no_metrics(task: str, target: Tensor) -> None:
    test = torch.tensor([0, 1, 2, 7, 8])  # with every class and label, so that the sound model's metrics are defined
    data = small_data(torch.randn(12, 3), target, task, test, stratify=False)
    model = model_for(data)
    trainer = quiet_trainer()
    (sound,) = trainer.test(model, data, verbose=False)
    with torch.no_grad():
        model.network.body.head.bias.view(-1)[0] = torch.nan
    (broken,) = trainer.test(model, data, verbose=False)
    assert set(broken) == {"test/loss", *(f"test/{name}" for name in model.metrics)}
    assert not any(map(numpy.isnan, sound.values()))
    assert all(map(numpy.isnan, broken.values()))


@QUICK
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=40), st.sampled_from([1.0, 1e-300, 1e300]))
def test_the_area_counts_ties_half_and_is_undefined_without_both_kinds(
    rows: list[tuple[int, bool]], unit: float
) -> None:
    score = numpy.array([score for score, _ in rows], dtype=float) * unit
    positive = numpy.array([positive for _, positive in rows], dtype=bool)
    expected = auroc(positive, score) if len(rows) else numpy.nan
    numpy.testing.assert_allclose(roc_area(score, positive), [expected], rtol=1e-12)
    numpy.testing.assert_allclose(roc_area(score, positive, numpy.ones((2, len(rows)))), [expected] * 2, rtol=1e-12)
