"""Estimators of scikit-learn: a run of ``evenhand fit`` behind ``fit``, ``predict`` and ``score``."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy
import polars

from datamodules.tables.frame_conversion import array_names, as_frame
from evenhand.api import training
from evenhand.api.command_words import write_inputs
from experiments.inference.predictor import Predictor, load
from experiments.run.checkpoints.best_checkpoint import checkpoint_of
from experiments.run.record.run_directory import root_of
from lit_models import ConfigError

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_array, check_consistent_length, check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ModuleNotFoundError as error:
    raise ImportError("the estimators need scikit-learn; pip install '.[sklearn]' in the checkout") from error

Array = Any
SEEDS = 2**31
"""Number of training seeds that one is drawn from."""

TARGET = "target"


class RunEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Base of the estimators, whose inputs are tables: arrays (N, F), where NaN is missing, or frames.

    Columns of a frame may be numbers, texts, categories and dates. ``fit`` prints nothing, and raises ``ConfigError``
    and ``DataError``, which are a ``ValueError``, as ``evenhand.fit`` does.

    Args:
        model: Name or class of an architecture; chosen by the data if left out.
        settings: Further options of ``evenhand fit`` by their names, as in ``{"model.dropout": 0.1}``.
        validation_fraction: Fraction of the rows, of each class, in [0, 1), which choose the epoch and stop the
            training; 0 trains on all rows to the last epoch.
        random_state: Seed of the training and of the choice of validation rows.
        folder: Folder in which ``runs/`` keeps the run; by default a temporary one, which is removed after ``fit``.
        trust: Packages of classes that ``settings`` name.
    """

    def __init__(
        self,
        model: str | type | None = None,
        settings: Mapping[str, Any] | None = None,
        validation_fraction: float = 0.15,
        random_state: Any = None,
        folder: str | os.PathLike[str] | None = None,
        trust: tuple[str, ...] = (),
    ) -> None:
        self.model = model
        self.settings = settings
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.folder = folder
        self.trust = trust

    def _train(self, x: polars.DataFrame, y: Array, task: str, groups: Array) -> Self:
        """Trains on inputs and targets (N,) or (N, R); validation rows have their share of each of the groups (N,)."""
        if not 0 <= self.validation_fraction < 1:
            raise ConfigError(f"validation_fraction is {self.validation_fraction}; it is in [0, 1)")
        if len(y) < 2:
            raise ValueError("there is 1 sample, and training takes two at least; add rows")
        random = check_random_state(self.random_state)
        validates = validation_rows(groups, self.validation_fraction, random)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(self.folder or temporary)
            names = [f"{TARGET}{index}" for index in range(y.shape[1])] if y.ndim == 2 else TARGET
            parts = [~validates, validates] if validates.any() else [~validates]
            files = [
                write_inputs(x.filter(polars.Series(rows)), y[rows], _free(names, x.columns), root_of(str(folder)))
                for rows in parts
            ]
            settings = {
                "data.target": files[0][2],
                "data.task": task,
                "data.test_path": files[-1][0],  # which is not tested
                "data.ratios": [0.85, 0.0, 0.15],
                "trainer.default_root_dir": folder,
                **({"data.val_path": files[1][0], "data.ratios": [0.7, 0.15, 0.15]} if len(files) > 1 else {}),
            }
            for name in settings.keys() & (self.settings or {}).keys():
                raise ConfigError(f"settings has {name!r}, which the estimator sets; leave it out")
            settings |= {"test_at_end": False, "figures": False, **(self.settings or {})}
            seeds, trust = [int(random.randint(SEEDS))], self.trust
            (run,) = training.fit(files[0][0], self.model, seeds=seeds, settings=settings, trust=trust, quiet=True)
            self._trust, self._checkpoint = run.trust, checkpoint_of(run).read_bytes()
            if self.folder is not None:
                self.run_ = run
        self._predictor = _restored(self._checkpoint, self._trust)
        return self

    def _answers(self, X: Any, columns: str) -> Array:  # noqa: N803
        """Returns the columns of predictions whose names begin so (N, K)."""
        check_is_fitted(self)
        x = self._inputs(X, reset=False)
        return self._predictor.predict(x).select(f"^{columns}.*$").to_numpy()

    def _inputs(self, X: Any, reset: bool) -> polars.DataFrame:  # noqa: N803
        if _is_frame(X):
            validate_data(self, X, reset=reset, skip_check_array=True)
            frame: polars.DataFrame = as_frame(X)
            return frame
        x = validate_data(self, X, reset=reset, ensure_all_finite="allow-nan")
        return polars.DataFrame(x, schema=array_names(x.shape[1]))

    def _inputs_and_targets(self, X: Any, y: Any, **options: Any) -> tuple[polars.DataFrame, Array]:  # noqa: N803
        if not _is_frame(X):
            x, y = validate_data(self, X, y, ensure_all_finite="allow-nan", **options)
            return polars.DataFrame(x, schema=array_names(x.shape[1])), y
        x = self._inputs(X, reset=True)
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        y = check_array(y, ensure_2d=False, dtype=None, input_name="y")
        check_consistent_length(x, y)
        return x, y

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_predictor"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_checkpoint" in state:
            self._predictor = _restored(self._checkpoint, self._trust)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class EvenhandClassifier(ClassifierMixin, RunEstimator):  # type: ignore[misc]
    """Classifier of scikit-learn for a table and one class a row.

    Attributes:
        classes_: Classes, sorted.
        n_features_in_: Number of input columns.
        feature_names_in_: Their names, where ``fit`` got a frame.
        run_: The run, where a ``folder`` keeps it.
    """

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803
        """Trains on inputs (N, F) and classes (N,); raises ``ValueError`` for inputs that cannot be used."""
        x, y = self._inputs_and_targets(X, y)
        check_classification_targets(y)
        self.classes_, codes = numpy.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has one class, {self.classes_[0]}; a classifier needs rows of two classes")
        return self._train(x, codes, "binary" if len(self.classes_) == 2 else "multiclass", codes)

    def predict_proba(self, X: Any) -> Array:  # noqa: N803
        """Returns the probability of each class (N, K), in the order of ``classes_``."""
        return self._answers(X, "probability_")

    def predict(self, X: Any) -> Array:  # noqa: N803
        """Returns the most probable class of each row (N,), or by ``model.threshold`` in the settings."""
        probabilities, rule = self.predict_proba(X), self._predictor.rule
        is_binary = len(self.classes_) == 2
        best = rule.is_class_1(probabilities[:, 1]).astype(int) if is_binary else probabilities.argmax(axis=1)
        return self.classes_[best]


class EvenhandRegressor(RegressorMixin, RunEstimator):  # type: ignore[misc]
    """Regressor of scikit-learn for a table and one or several targets.

    Attributes:
        n_features_in_: Number of input columns.
        feature_names_in_: Their names, where ``fit`` got a frame.
        run_: The run, where a ``folder`` keeps it.
    """

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803
        """Trains on inputs (N, F) and targets (N,) or (N, R); raises ``ValueError`` for what cannot be used."""
        x, y = self._inputs_and_targets(X, y, multi_output=True, y_numeric=True)
        self._is_single = y.ndim == 1
        return self._train(x, y, "regression", numpy.zeros(len(y)))

    def predict(self, X: Any) -> Array:  # noqa: N803
        """Returns the targets (N,) or (N, R), in their own units."""
        predicted = self._answers(X, "prediction")
        return predicted[:, 0] if self._is_single else predicted

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def validation_rows(groups: Array, fraction: float, random: Any) -> Array:
    """Draws a mask (N,) of a fraction of the rows of each of the groups (N,), rounded down."""
    mask = numpy.zeros(len(groups), dtype=bool)
    for group in numpy.unique(groups):
        rows = numpy.flatnonzero(groups == group)
        mask[random.permutation(rows)[: int(len(rows) * fraction)]] = True
    return mask


def _restored(checkpoint: bytes, trust: tuple[str, ...]) -> Predictor:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "best.ckpt"
        file.write_bytes(checkpoint)
        return load(file, trust=[*trust])


def _free(names: str | list[str], taken: list[str]) -> str | list[str]:
    """Returns names that no other column has."""
    while {*([names] if isinstance(names, str) else names)} & {*taken}:
        names = f"{names}_" if isinstance(names, str) else [f"{name}_" for name in names]
    return names


def _is_frame(inputs: Any) -> bool:
    return isinstance(inputs, polars.DataFrame) or (hasattr(inputs, "columns") and hasattr(inputs, "iloc"))
