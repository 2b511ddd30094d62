"""Temperature, threshold and quantile are those of independent computations."""

import math

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, matthews_corrcoef
from tiny_data import QUICK

from experiments.inference.decision_rule import DecisionRule
from lit_models.decisions.conformal import conformal_quantile, conformal_rank, rows_needed
from lit_models.decisions.fitted_decisions import DecisionOptions
from lit_models.decisions.temperature import HIGHEST, LOWEST, fit_temperature
from lit_models.decisions.threshold import fit_threshold
from lit_models.tasks import make_task

SKLEARN = {
    "f1_binary": lambda true, found: f1_score(true, found, zero_division=0),
    "accuracy": accuracy_score,
    "balanced_accuracy": balanced_accuracy_score,
    "mcc": matthews_corrcoef,
}


def sharpened(factor: float, seed: int, rows: int = 400, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns right logits times a factor, which is the temperature that rights them, and classes drawn by them."""
    draw = numpy.random.default_rng(seed)
    logits = draw.normal(scale=2, size=(rows, classes))
    chances = numpy.exp(log_softmax(logits, axis=1))
    target = [draw.choice(classes, p=row) for row in chances]
    return torch.from_numpy(logits * factor), torch.tensor(target)


@pytest.mark.parametrize("factor", [0.01, 0.3, 1.0, 3.0, 15.0, 100.0])
def test_the_temperature_is_the_minimum_of_scipy(factor: float) -> None:
    logits, target = sharpened(factor, seed=1)
    task = make_task("multiclass", 4)

    def loss(logarithm: float) -> float:
        scaled = log_softmax(logits.numpy() / math.exp(logarithm), axis=1)
        return -float(scaled[numpy.arange(len(target)), target.numpy()].mean())

    found = fit_temperature(logits, lambda scaled: task.log_loss(scaled, target))
    best = minimize_scalar(
        loss, bounds=(math.log(LOWEST), math.log(HIGHEST)), method="bounded", options={"xatol": 1e-9}
    )
    assert found == pytest.approx(math.exp(best.x), rel=1e-4)
    assert loss(math.log(found)) <= best.fun + 1e-10
    assert LOWEST <= found <= HIGHEST


@QUICK
@given(st.integers(0, 10**6), st.floats(-3, 4), st.sampled_from(["binary", "multiclass", "multilabel"]))
def test_it_never_raises_the_log_loss(seed: int, power: float, name: str) -> None:
    draw = torch.Generator().manual_seed(seed)
    outputs = {"binary": 1, "multiclass": 3, "multilabel": 2}[name]
    task = make_task(name, outputs)  # type: ignore[arg-type]
    logits = torch.randn(30, outputs, generator=draw, dtype=torch.float64) * math.exp(power)
    shape = (30, 2) if name == "multilabel" else (30,)
    target = torch.randint(3 if name == "multiclass" else 2, shape, generator=draw)
    fitted = DecisionOptions("temperature").fit(task, target, logits)
    assert fitted.log_loss is not None
    assert fitted.log_loss[1] <= fitted.log_loss[0]
    assert float(task.log_loss(logits / fitted.temperature, target)) == pytest.approx(fitted.log_loss[1])


def test_it_stays_at_1_with_fewer_than_5_errors() -> None:
    task, target = make_task("binary", 1), torch.tensor([0, 1] * 50)
    logits = (target * 2.0 - 1).view(-1, 1)
    for errors, is_fitted in ((0, False), (4, False), (5, True)):
        logits[:errors] *= -1
        fitted = DecisionOptions("temperature").fit(task, target, logits)
        logits[:errors] *= -1
        assert fitted.errors == errors
        assert (fitted.temperature != 1) == is_fitted
        assert bool(fitted.notes) != is_fitted


@settings(QUICK, max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from(sorted(SKLEARN)), st.sampled_from([2, 50]))
def test_no_other_threshold_has_a_better_metric(seed: int, metric: str, decimals: int) -> None:
    draw = numpy.random.default_rng(seed)
    target = draw.permutation([0, 1, *draw.integers(0, 2, 30)])
    probability = numpy.round(numpy.clip(draw.normal(0.4 + 0.2 * target, 0.2), 0, 1), decimals)
    threshold = fit_threshold(metric, target, probability)
    found = SKLEARN[metric](target, probability > threshold)
    others = [SKLEARN[metric](target, probability > other) for other in [-1, *probability]]
    assert found == pytest.approx(max(others), abs=1e-12)


def test_of_equal_thresholds_the_nearest_to_a_half_is_taken() -> None:
    assert fit_threshold("f1_binary", numpy.array([0, 0, 1, 1]), numpy.array([0.1, 0.2, 0.6, 0.9])) == pytest.approx(
        0.4
    )
    assert fit_threshold("accuracy", numpy.array([0, 1]), numpy.array([0.5, numpy.nextafter(0.5, 1)])) == 0.5


@pytest.mark.parametrize(("rows", "positive", "is_fitted"), [(99, 40, False), (100, 19, False), (100, 20, True)])
def test_few_rows_leave_the_threshold_at_a_half(rows: int, positive: int, is_fitted: bool) -> None:
    target = (torch.arange(rows) < positive).long()
    logits = (torch.linspace(3, -5, rows)).view(-1, 1)
    fitted = DecisionOptions(threshold="f1_binary").fit(make_task("binary", 1), target, logits)
    assert (fitted.threshold != 0.5) == is_fitted


@pytest.mark.parametrize(
    ("rows", "coverage", "rank"), [(9, 0.9, 9), (8, 0.9, 9), (99, 0.9, 90), (9, 0.7, 7), (100, 0.95, 96)]
)
def test_the_rank_is_that_of_the_papers(rows: int, coverage: float, rank: int) -> None:
    assert conformal_rank(rows, coverage) == rank
    scores = torch.arange(1.0, rows + 1)[torch.randperm(rows, generator=torch.Generator().manual_seed(0))]
    assert conformal_quantile(scores, coverage) == (float(rank) if rank <= rows else None)


@pytest.mark.parametrize("coverage", [0.01, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999])
def test_the_fewest_rows_are_enough_and_one_less_is_not(coverage: float) -> None:
    rows = rows_needed(coverage)
    assert conformal_rank(rows, coverage) <= rows
    assert rows == 1 or conformal_rank(rows - 1, coverage) > rows - 1


def test_of_outputs_that_are_not_finite_nothing_is_fitted() -> None:
    options = DecisionOptions("temperature", "f1_binary", 0.9)
    fitted = options.fit(make_task("binary", 1), torch.tensor([0, 1] * 60), torch.full((120, 1), torch.nan))
    assert (fitted.temperature, fitted.threshold, fitted.quantile) == (1, 0.5, None)


TASKS = {"binary": 1, "multiclass": 4, "multilabel": 3, "regression": 2}


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_sets_and_intervals_cover_what_they_state(name: str) -> None:
    """1,000 repetitions: the mean coverage is within two standard errors of nominal to nominal + 1 / (n + 1)."""
    coverages, rows, nominal = [], 100, 0.9
    task = make_task(name, TASKS[name])  # type: ignore[arg-type]
    options = DecisionOptions(interval=nominal)
    for repetition in range(1000):
        draw = torch.Generator().manual_seed(repetition)
        outputs = torch.randn(rows + 1000, TASKS[name], generator=draw, dtype=torch.float64) * 2
        noise = torch.rand(outputs.shape, generator=draw, dtype=torch.float64)
        match name:  # truths that the outputs are too sure about, so that coverage is no work of the model's
            case "binary":
                target = (noise < (outputs / 3).sigmoid()).squeeze(1).long()
            case "multiclass":
                target = (outputs / 3 - (-noise.log()).log()).argmax(dim=1)
            case "multilabel":
                target = (noise < (outputs / 3).sigmoid()).long()
            case _:
                target = outputs + torch.randn(outputs.shape, generator=draw, dtype=torch.float64) * (1 + outputs.abs())
        fitted = options.fit(task, target[:rows], outputs[:rows])
        rule = DecisionRule.of(options.rule(task, fitted))
        prediction, truth = task.predict(outputs[rows:]), target[rows:]
        if name == "regression":
            low, high = rule.bounds(prediction.numpy())
            covered = ((low <= truth.numpy()) & (truth.numpy() <= high)).all(axis=1)
        else:
            outcome = task.outcome(prediction, truth)
            inside = rule.in_set(outcome.probabilities.numpy())
            labels = truth.numpy() if truth.dim() == 2 else numpy.eye(inside.shape[1])[truth.numpy()]
            covered = (inside | (labels == 0)).all(axis=1)
        coverages.append(covered.mean())
    mean, error = numpy.mean(coverages), numpy.std(coverages, ddof=1) / len(coverages) ** 0.5
    print(f"{name}: {mean:.4f} +- {error:.4f}")
    assert nominal - 2 * error <= mean <= nominal + 1 / (rows + 1) + 2 * error
