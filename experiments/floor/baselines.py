"""Classical baselines: scikit-learn estimators of probabilities or values."""

from collections.abc import Iterator
from typing import Any

import numpy
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from experiments.floor.features import Features, Matrix

MAX_CATEGORIES = 255
"""Gradient boosting treats a column with more categories as a number."""
MAX_ROWS_WITHOUT_STOPPING = 10_000
"""With more train rows, gradient boosting stops early, by default, on rows that it draws."""


def baselines(train: Features, task: str, seed: int, threads: int) -> Iterator[tuple[str, Any]]:
    """Yields the name and the unfitted estimator of each baseline for the data.

    For texts: the majority class, and logistic or ridge regression on TF-IDF of words and pairs of words. Otherwise:
    the majority class (or mean), logistic or ridge regression, a random forest and histogram gradient boosting. All
    have scikit-learn's defaults but for 300 trees and enough iterations.
    """
    values, several = task == "regression", train.target.numel() > len(train.target)
    linear = Ridge() if values else LogisticRegression(max_iter=1000)
    linear = linear if values or not several else MultiOutputClassifier(linear)
    yield "majority", DummyRegressor() if values else DummyClassifier(strategy="prior")
    if isinstance(train.inputs, list):
        words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
        yield "tfidf+ridge" if values else "tfidf+logistic", make_pipeline(words, linear)
        return
    columns = train.inputs.shape[1]
    categorical = list(range(columns - train.categories, columns))
    encoder = ColumnTransformer(
        [("categories", OneHotEncoder(handle_unknown="ignore"), categorical)], remainder=StandardScaler()
    )
    few = [column for column in categorical if train.inputs[:, column].max() < MAX_CATEGORIES]
    yield "ridge" if values else "logistic", make_pipeline(encoder, linear)
    forest = RandomForestRegressor if values else RandomForestClassifier
    yield "random forest", forest(n_estimators=300, random_state=seed, n_jobs=threads)
    kind = HistGradientBoostingRegressor if values else HistGradientBoostingClassifier
    boosting = kind(categorical_features=few, random_state=seed)
    multiple = MultiOutputRegressor if values else MultiOutputClassifier
    yield "gradient boosting", multiple(boosting) if several else boosting


def depends_on_seed(name: str, rows: int) -> bool:
    """Returns True if the fit of a baseline to so many train rows draws random numbers."""
    return name == "random forest" or (name == "gradient boosting" and rows > MAX_ROWS_WITHOUT_STOPPING)


def probabilities(estimator: Any, inputs: Any, task: str) -> Matrix:
    """Returns a fitted estimator's predictions: probabilities (N,) or (N, K), or values (N, R)."""
    if task == "regression":
        values = estimator.predict(inputs)
        return numpy.asarray(values, dtype=numpy.float64).reshape(len(values), -1)
    prediction = estimator.predict_proba(inputs)
    if isinstance(prediction, list):  # a matrix for each label
        prediction = numpy.stack([matrix[:, -1] for matrix in prediction], axis=1)
    return numpy.asarray(prediction[:, 1] if task == "binary" else prediction, dtype=numpy.float64)
