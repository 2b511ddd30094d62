"""Gradient boosting as one would use it: many small steps, stopped early on the validation rows."""

from typing import Any

import numpy
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from experiments.floor.features import Features

STOPPED = {"max_iter": 1000, "learning_rate": 0.05, "early_stopping": True}
"""Arguments where validation rows stop the iterations; without validation rows scikit-learn's defaults hold."""
MAX_CATEGORIES = 255
"""Gradient boosting treats a column with more categories as a number."""
MAX_ROWS_WITHOUT_STOPPING = 10_000
"""With more train rows, and no validation rows, gradient boosting stops early on train rows that it draws."""
MAX_ROWS_BINNED = 200_000
"""With more train rows, the bins of the numbers are learned on rows that are drawn."""


class Boosting:
    """Histogram gradient boosting of scikit-learn, one estimator for each target.

    Args:
        train: Train rows, whose categories tell which columns are split by category.
        val: Validation rows, which stop the iterations; None if there are none.
        regression: True for values, False for classes or labels.
        seed: Seed.
    """

    def __init__(self, train: Features, val: Features | None, regression: bool, seed: int) -> None:
        self.val = val
        self.kind = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
        assert not isinstance(train.inputs, list)
        columns = train.inputs.shape[1]
        categorical = range(columns - train.categories, columns)
        few = [column for column in categorical if train.inputs[:, column].max() < MAX_CATEGORIES]
        self.options: dict[str, Any] = {"categorical_features": few, "random_state": seed}
        self.fitted: list[Any] = []

    def fit(self, x: Any, y: NDArray[Any]) -> "Boosting":
        """Fits an estimator to each target of train rows: (N,) or (N, R)."""
        self.fitted = []
        for index, target in enumerate(y.reshape(len(y), -1).T):
            # scikit-learn knows no class of a label that all train rows have, or none has.
            if self.val is None or (self.kind is HistGradientBoostingClassifier and len(numpy.unique(target)) == 1):
                self.fitted.append(self.kind(**self.options).fit(x, target))
                continue
            y_val = self.val.target.numpy().reshape(len(self.val.target), -1)[:, index]
            estimator = self.kind(**self.options, **STOPPED)
            self.fitted.append(estimator.fit(x, target, X_val=self.val.inputs, y_val=y_val))
        return self

    def predict(self, x: Any) -> Any:
        """Returns values (N, R)."""
        return numpy.stack([estimator.predict(x) for estimator in self.fitted], axis=1)

    def predict_proba(self, x: Any) -> Any:
        """Returns probabilities (N, K), or of several labels a matrix each."""
        matrices = [estimator.predict_proba(x) for estimator in self.fitted]
        return matrices[0] if len(matrices) == 1 else matrices


def draws_rows(rows: int, val: Features | None) -> bool:
    """Returns True if a fit to so many train rows draws some of them at random."""
    return rows > (MAX_ROWS_WITHOUT_STOPPING if val is None else MAX_ROWS_BINNED)
