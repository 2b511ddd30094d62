"""The floor's baselines fit the train rows alone, with one indicator a category, as scikit-learn does without us."""

import json
from typing import Any

import numpy
import polars
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from experiments.__main__ import main
from experiments.floor.boosting import draws_rows

ROWS = 240
NAMES = numpy.array(["amber", "blue", "cyan", "dun", "ecru"])
EFFECT = numpy.array([3.0, -3.0, 2.0, -2.0, 4.0])  # not monotonous in the order of the names


def table(seed: int, task: str) -> polars.DataFrame:
    """Rows of which the validation rows have the opposite targets, so that a baseline that fits on them is far off."""
    draw = numpy.random.default_rng(seed)
    colour, x = draw.integers(0, len(NAMES), ROWS), draw.normal(50, 20, ROWS)
    split = draw.permutation(numpy.repeat(["train", "val", "test"], [120, 80, 40]))
    score = EFFECT[colour] + (x - 50) / 20 + draw.normal(size=ROWS) + 1
    score = numpy.where(split == "val", -score, score)
    y = (score > 0).astype(int) if task == "binary" else score * 100 + 7
    return polars.DataFrame({"x": x, "colour": NAMES[colour], "split": split, "y": y})


@pytest.fixture(scope="module", params=[("binary", 0), ("regression", 1)], ids=["binary", "regression"])
def floor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The task, the table and each baseline's predictions of the test rows, in the order of the table."""
    task, seed = request.param
    root, frame = tmp_path_factory.mktemp("floor"), table(seed, task)
    frame.write_parquet(root / "table.parquet")
    words = f"floor --data TableData --data.path {root}/table.parquet --data.target y --data.split_column split"
    assert main([*words.split(), "--seed_everything", "0", "--trainer.default_root_dir", str(root)]) == 0
    predictions = {}
    for path in root.glob("runs/*/*/record.json"):
        predicted = polars.read_parquet(path.parent / "predictions.parquet").sort("row")
        name = json.loads(path.read_text())["model"]
        predictions[name] = predicted.select(polars.col("^prediction.*$")).to_series().to_numpy()
    return task, frame, predictions


def rows_of(frame: polars.DataFrame, name: str) -> polars.DataFrame:
    return frame.filter(polars.col("split") == name)


def test_the_majority_is_that_of_the_train_rows(floor: tuple[str, polars.DataFrame, dict[str, Any]]) -> None:
    _, frame, predictions = floor
    assert predictions["majority"] == pytest.approx(rows_of(frame, "train")["y"].mean(), rel=1e-6)


def test_the_linear_baseline_is_scikit_learns_of_the_train_rows(
    floor: tuple[str, polars.DataFrame, dict[str, Any]],
) -> None:
    task, frame, predictions = floor
    columns = make_column_transformer((OneHotEncoder(), [1]), (StandardScaler(), [0]))
    linear = LogisticRegression(max_iter=1000) if task == "binary" else Ridge()
    estimator = make_pipeline(columns, linear)
    train, test = rows_of(frame, "train"), rows_of(frame, "test")
    inputs = [numpy.array(some.select("x", "colour").rows(), dtype=object) for some in (train, test)]
    estimator.fit(inputs[0], train["y"].to_numpy())
    expected = estimator.predict_proba(inputs[1])[:, 1] if task == "binary" else estimator.predict(inputs[1])
    name = "logistic" if task == "binary" else "ridge"
    assert predictions[name] == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_gradient_boosting_is_stopped_by_the_validation_rows(
    floor: tuple[str, polars.DataFrame, dict[str, Any]],
) -> None:
    """1,000 iterations at rate .05, stopped by the validation rows: here at once, since their targets are opposite."""
    task, frame, predictions = floor
    kind = HistGradientBoostingClassifier if task == "binary" else HistGradientBoostingRegressor
    coded = frame.with_columns(polars.col("colour").replace_strict({name: i for i, name in enumerate(NAMES)}))
    x = {split: rows_of(coded, split).select("x", "colour").to_numpy() for split in ("train", "val", "test")}
    y = {split: rows_of(coded, split)["y"].to_numpy() for split in ("train", "val")}
    estimator = kind(max_iter=1000, learning_rate=0.05, early_stopping=True, categorical_features=[1])
    estimator.fit(x["train"], y["train"], X_val=x["val"], y_val=y["val"])
    assert estimator.n_iter_ < 20
    expected = estimator.predict_proba(x["test"])[:, 1] if task == "binary" else estimator.predict(x["test"])
    assert predictions["gradient boosting"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["random forest", "gradient boosting"])
def test_trees_learn_nothing_of_the_validation_rows(
    floor: tuple[str, polars.DataFrame, dict[str, Any]], name: str
) -> None:
    """Validation rows have the opposite targets, so trees that learned from them would correlate far less."""
    _, frame, predictions = floor
    y = rows_of(frame, "test")["y"].to_numpy().astype(float)
    assert numpy.corrcoef(predictions[name], y)[0, 1] > 0.6


def test_boosting_draws_rows_to_stop_by_or_to_bin() -> None:
    """scikit-learn stops by a random tenth of more than 10,000 rows, and bins by 200,000 random ones."""
    val: Any = object()
    assert [draws_rows(rows, None) for rows in (10_000, 10_001)] == [False, True]
    assert [draws_rows(rows, val) for rows in (10_001, 200_000, 200_001)] == [False, False, True]
