"""The classical baselines, each a scikit-learn estimator that gives probabilities or values."""

from collections.abc import Iterator
from typing import Any, NamedTuple

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

MOST_CATEGORIES = 255
"""A column with more of them is a number to gradient boosting."""


class Baseline(NamedTuple):
    """A baseline.

    Args:
        name: What a table calls it.
        estimator: Not fitted yet; ``predict_proba`` for classes and labels, ``predict`` for values.
    """

    name: str
    estimator: Any


def baselines(train: Features, task: str, seed: int, threads: int) -> Iterator[Baseline]:
    """The baselines that fit the data.

    For texts they are the majority, and logistic regression or ridge on TF-IDF of words and pairs of words. Otherwise
    they are the majority (or mean), logistic regression or ridge, a random forest and histogram gradient boosting. All
    with scikit-learn's defaults but for 300 trees and enough iterations.

    Args:
        train: The train rows.
        task: What is asked.
        seed: Of what is random in them.
        threads: For those that use several.
    """
    values, several = task == "regression", train.target[0].numel() > 1
    linear = Ridge() if values else LogisticRegression(max_iter=1000)
    linear = linear if values or not several else MultiOutputClassifier(linear)
    if isinstance(train.inputs, list):
        words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
        yield Baseline("majority", DummyRegressor() if values else DummyClassifier(strategy="prior"))
        yield Baseline("tfidf+ridge" if values else "tfidf+logistic", make_pipeline(words, linear))
        return
    columns = train.inputs.shape[1]
    categorical = list(range(columns - train.categories, columns))
    encoder = ColumnTransformer(
        [("categories", OneHotEncoder(handle_unknown="ignore"), categorical)], remainder=StandardScaler()
    )
    few = [column for column in categorical if train.inputs[:, column].max() < MOST_CATEGORIES]
    yield Baseline("majority", DummyRegressor() if values else DummyClassifier(strategy="prior"))
    yield Baseline("ridge" if values else "logistic", make_pipeline(encoder, linear))
    forest = RandomForestRegressor if values else RandomForestClassifier
    yield Baseline("random forest", forest(n_estimators=300, random_state=seed, n_jobs=threads))
    if values:
        boosting: Any = HistGradientBoostingRegressor(categorical_features=few, random_state=seed)
        yield Baseline("gradient boosting", MultiOutputRegressor(boosting) if several else boosting)
    else:
        boosting = HistGradientBoostingClassifier(categorical_features=few, random_state=seed)
        yield Baseline("gradient boosting", MultiOutputClassifier(boosting) if several else boosting)


def probabilities(estimator: Any, inputs: Any, task: str) -> Matrix:
    """What a fitted estimator says of rows: (N,) or (N, K) probabilities, or values (N, R)."""
    if task == "regression":
        said = estimator.predict(inputs)
        return numpy.asarray(said, dtype=numpy.float64).reshape(len(said), -1)
    said = estimator.predict_proba(inputs)
    if isinstance(said, list):  # one matrix for each label
        said = numpy.stack([matrix[:, -1] for matrix in said], axis=1)
    return numpy.asarray(said[:, 1] if task == "binary" else said, dtype=numpy.float64)
