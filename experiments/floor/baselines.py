"""Classical baselines: estimators of probabilities or values in the manner of scikit-learn."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from experiments.floor.boosting import Boosting, draws_rows
from experiments.floor.features import Features, Matrix
from experiments.floor.random_kernels import kernel_ridge


@dataclass(frozen=True)
class Baseline:
    """Estimator with a name."""

    name: str
    estimator: Any
    is_random: bool = False  # True if the fit draws random numbers
    on_series: bool = False  # True if it takes series as they are, and not flat rows

    def fit(self, train: Features) -> None:
        """Fits the train rows."""
        # The train rows have every class, so scikit-learn's sorted classes are our class indices.
        target = train.target.numpy()
        self.estimator.fit(self._inputs(train), target if target.size > len(target) else target.ravel())

    def predict(self, rows: Features, task: str) -> Matrix:
        """Returns predictions: probabilities (N,) or (N, K), or values (N, R)."""
        return probabilities(self.estimator, self._inputs(rows), task)

    def _inputs(self, rows: Features) -> Any:
        return rows.series if self.on_series else rows.inputs


def baselines(train: Features, val: Features | None, task: str, seed: int, threads: int) -> Iterator[Baseline]:
    """Yields the unfitted baselines for the data.

    For texts: the majority class, and logistic or ridge regression on TF-IDF of words and pairs of words. Otherwise:
    the majority class (or mean), logistic or ridge regression, a random forest and histogram gradient boosting, and for
    series random convolution kernels. The validation rows stop gradient boosting, and nothing else depends on them. All
    have scikit-learn's defaults but for 300 trees and the number and size of iterations.
    """
    values, several = task == "regression", train.target.numel() > len(train.target)
    linear = Ridge() if values else LogisticRegression(max_iter=1000)
    linear = linear if values or not several else MultiOutputClassifier(linear)
    yield Baseline("majority", DummyRegressor() if values else DummyClassifier(strategy="prior"))
    if isinstance(train.inputs, list):
        words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
        yield Baseline("tfidf+ridge" if values else "tfidf+logistic", make_pipeline(words, linear))
        return
    columns = train.inputs.shape[1]
    categorical = list(range(columns - train.categories, columns))
    encoder = ColumnTransformer(
        [("categories", OneHotEncoder(handle_unknown="ignore"), categorical)], remainder=StandardScaler()
    )
    yield Baseline("ridge" if values else "logistic", make_pipeline(encoder, linear))
    forest = RandomForestRegressor if values else RandomForestClassifier
    yield Baseline("random forest", forest(n_estimators=300, random_state=seed, n_jobs=threads), is_random=True)
    boosting = Boosting(train, val, values, seed)
    yield Baseline("gradient boosting", boosting, is_random=draws_rows(len(train.row), val))
    if train.series is not None:
        yield Baseline("random kernels", kernel_ridge(values, seed), is_random=True, on_series=True)


def probabilities(estimator: Any, inputs: Any, task: str) -> Matrix:
    """Returns a fitted estimator's predictions: probabilities (N,) or (N, K), or values (N, R)."""
    if task == "regression":
        values = estimator.predict(inputs)
        return numpy.asarray(values, dtype=numpy.float64).reshape(len(values), -1)
    prediction = estimator.predict_proba(inputs)
    if isinstance(prediction, list):  # a matrix for each label
        prediction = numpy.stack([matrix[:, -1] for matrix in prediction], axis=1)
    return numpy.asarray(prediction[:, 1] if task == "binary" else prediction, dtype=numpy.float64)
