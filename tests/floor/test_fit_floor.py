"""A baseline's record and estimator, without a command: what it keeps of the configuration, and which columns split."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import polars
import pytest
import torch
from jsonargparse import Namespace
from sklearn.dummy import DummyClassifier, DummyRegressor
from tiny_data import small_data

from experiments.floor import fit_floor
from experiments.floor.baselines import Baseline, baselines, probabilities
from experiments.floor.boosting import Boosting
from experiments.floor.features import Features, features


def by_name(train: Features, task: str, seed: int = 0) -> dict[str, Any]:
    """Returns the unfitted estimators."""
    return {each.name: each.estimator for each in baselines(train, None, task, seed, 1)}


def fitted(folder: Path, monkeypatch: pytest.MonkeyPatch, task: str, y: torch.Tensor) -> dict[str, Any]:
    """Returns the record of a dummy baseline."""
    dummy = DummyRegressor() if task == "regression" else DummyClassifier(strategy="prior")

    def only(*_: Any) -> Iterator[Baseline]:
        yield Baseline("random forest", dummy, is_random=True)

    monkeypatch.setattr(fit_floor, "baselines", only)
    data = small_data(torch.arange(40.0).view(20, 2), y, task, torch.arange(16, 20))
    config = Namespace(experiment=None, trainer=Namespace(default_root_dir=str(folder)))
    plain = {"seed_everything": 3, "data": {"class_path": "D", "init_args": {"fold": 0}}, "model": "LitMLP"}
    (record,) = fit_floor.fit_floor(data, config, plain | {"trainer": {"max_epochs": 9}}, ["evenhand", "a b"], [7])
    return record


def test_a_record_keeps_the_options_of_the_data_and_the_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = fitted(tmp_path, monkeypatch, "binary", torch.arange(20) % 2)
    assert record["hyperparameters"] == {"seed": 7, "data": "D", "data.fold": 0, "model": "random forest"}
    assert (record["experiment"], record["run"]) == ("smalldata", "random-forest-seed7")
    assert (record["parameters"], record["command"]) == (0, "evenhand 'a b' --seeds 7")
    assert record["metrics"]["test/accuracy"] == 0.5
    assert {f"test/{name}" for name in record["validation"]} == set(record["metrics"])
    assert record["seconds"] < 60
    run = tmp_path / "runs/smalldata" / record["run"]
    predicted = polars.read_parquet(run / "predictions.parquet").sort("row")
    assert predicted.to_dict(as_series=False) == {
        "row": [16, 17, 18, 19], "target": [0, 1, 0, 1], "prediction": [predicted["prediction"][0]] * 4
    }  # fmt: skip
    assert {path.name for path in run.iterdir()} >= {"inspection.json", "split.parquet"}
    written = json.loads((run / "record.json").read_text())
    assert written | {"label": "random forest"} == record


@pytest.mark.parametrize("targets", [1, 2])
def test_a_single_target_is_fitted_as_a_vector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, targets: int) -> None:
    """scikit-learn's ensembles warn of a column."""
    shapes, fit = [], DummyRegressor.fit

    def observed(self: DummyRegressor, x: Any, y: Any) -> Any:
        shapes.append(y.shape)
        return fit(self, x, y)

    monkeypatch.setattr(DummyRegressor, "fit", observed)
    y = torch.arange(20.0 * targets).view(20, targets)
    train = fitted(tmp_path, monkeypatch, "regression", y)["rows"]["train"]
    assert shapes == [(train,) if targets == 1 else (train, 2)]


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_columns_of_at_most_255_categories_are_split_by_category(task: str) -> None:
    """Gradient boosting has 255 bins: an index of 255 would end its fit."""
    columns = numpy.stack([numpy.linspace(0, 1, 256), numpy.arange(256) - 1.0, numpy.arange(256)], axis=1)
    train = Features(columns, 2, torch.arange(256) % 2, torch.arange(256))
    options = by_name(train, task, seed=5)["gradient boosting"].options
    assert options == {"categorical_features": [1], "random_state": 5}


def test_only_a_label_that_varies_is_stopped_by_validation_rows() -> None:
    """scikit-learn takes no validation row of a class that no train row has."""
    draw = numpy.random.default_rng(0)
    x, y = draw.normal(size=(60, 3)), torch.stack([torch.arange(60) % 2, torch.ones(60, dtype=torch.int64)], dim=1)
    val = Features(x[:20], 0, torch.arange(40).view(20, 2) % 3 % 2, torch.arange(20))
    assert val.target[:, 1].unique().tolist() == [0, 1]
    boosting = Boosting(Features(x, 0, y, torch.arange(60)), val, regression=False, seed=0).fit(x, y.numpy())
    varies, constant = boosting.fitted
    assert varies.early_stopping is True
    assert constant.early_stopping == "auto"


@pytest.mark.parametrize(("task", "targets"), [("multilabel", 2), ("regression", 2), ("regression", 1)])
def test_several_targets_have_an_estimator_each(task: str, targets: int) -> None:
    target = torch.arange(16 * targets).view(16, targets) % 2
    found = by_name(Features(numpy.random.default_rng(0).normal(size=(16, 3)), 0, target, target), task)
    assert ("ridge" in found) == (task == "regression")
    assert len(found["gradient boosting"].fit(numpy.zeros((16, 3)), target.numpy()).fitted) == targets
    assert hasattr(found.get("logistic", [None, None])[1], "estimator") == (task == "multilabel")
    assert found["random forest"].n_estimators == 300
    if task == "multilabel":
        assert found["logistic"][-1].estimator.max_iter == 1000


def test_rows_are_flat_with_their_categories_at_the_end() -> None:
    columns = {"x": torch.tensor([[[1.0, 3, 0], [2, 2, 0]], [[4, 5, 6], [7, 8, 9]]]), "y": torch.tensor([0, 1])}
    columns["row"] = torch.tensor([5, 8])
    flat = features(SimpleNamespace(part=lambda split: columns), "train")
    assert flat.inputs.tolist() == [[1, 3, 0, 2, 2, 0], [4, 5, 6, 7, 8, 9]]
    assert flat.categories == 0
    columns |= {"lengths": torch.tensor([2, 3]), "categories": torch.tensor([[1, 2, 3], [4, 5, 6]])}
    stretched = features(SimpleNamespace(part=lambda split: columns), "train")
    assert stretched.inputs.tolist() == [[1, 2, 3, 2, 2, 2, 1, 2, 3], [4, 5, 6, 7, 8, 9, 4, 5, 6]]
    assert (stretched.categories, stretched.row.tolist(), stretched.target.tolist()) == (3, [5, 8], [0, 1])


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_texts_are_words_and_pairs_of_words(task: str) -> None:
    texts = ["new shirt", "new shoes", "old shirt", "old shoes", "new shirt"]
    train = Features(texts, 0, torch.arange(5) % 2, torch.arange(5))
    found = by_name(train, task)
    linear = "ridge" if task == "regression" else "logistic"
    assert [*found] == ["majority", f"tfidf+{linear}"]
    words = found[f"tfidf+{linear}"].steps[0][1]
    # In two texts at least; pairs of words count too, and three words do not.
    assert words.fit(["one new shirt", "one new shirt", *texts]).get_feature_names_out().tolist() == [
        "new", "new shirt", "old", "one", "one new", "shirt", "shoes"
    ]  # fmt: skip
    assert words.sublinear_tf


class Constant:
    """An estimator that predicts these probabilities or values."""

    def __init__(self, prediction: Any) -> None:
        self.prediction = prediction

    def predict_proba(self, _: Any) -> Any:
        return self.prediction

    predict = predict_proba


def test_probabilities_have_the_shape_of_a_networks() -> None:
    two = numpy.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]])
    assert probabilities(Constant(two), None, "binary").tolist() == [0.1, 0.6, 0.7]
    assert probabilities(Constant(two), None, "multiclass").tolist() == two.tolist()
    labels = [two, two[::-1]]
    assert probabilities(Constant(labels), None, "multilabel").tolist() == [[0.1, 0.7], [0.6, 0.6], [0.7, 0.1]]
    assert probabilities(Constant(numpy.float32([1, 2])), None, "regression").tolist() == [[1], [2]]
    assert probabilities(Constant(two), None, "regression").tolist() == two.tolist()
