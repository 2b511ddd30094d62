"""``EvenhandClassifier`` and ``EvenhandRegressor``: scikit-learn's own checks, and what they do not look at."""

import pickle
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import SkipTest

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import REPOSITORY
from people_table import people
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator
from tiny_data import QUICK as EXAMPLES

import evenhand
from evenhand import EvenhandClassifier, EvenhandRegressor
from evenhand.api.estimators import validation_rows
from lit_models import ConfigError

SHORT = {
    "trainer.max_epochs": 25,
    "model.hidden": [16],
    "model.optimizer.lr": 0.01,
    "data.batch_size": 32,
}

QUICK = {"data.batch_size": 16, "model.optimizer.lr": 0.03, "trainer.max_epochs": 10}

FEW = {**SHORT, "trainer.max_epochs": 2}

SKIPPED = {
    "check_array_api_input": "arrays of other libraries (`SCIPY_ARRAY_API=1`); inputs become NumPy arrays",
    "check_classifier_data_not_an_array": "its last part needs pandas, which is no dependency",
    "check_regressor_data_not_an_array": "its last part needs pandas, which is no dependency",
}
"""Checks that scikit-learn skips, with the reason; docs/python.md has the same table."""

CORE = ("check_n_features_in_after_fitting", "check_methods_subset_invariance")
"""Checks that train, and are in the default suite; each training takes a second."""

WITHOUT_TRAINING = (
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_estimators_unfitted",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_mixin_order",
    "check_complex_data",
    "check_estimators_empty_data_messages",
    "check_estimator_sparse_tag",
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_classifiers_one_label",
    "check_classifiers_regression_target",
    "check_supervised_y_no_nan",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
    "check_requires_y_none",
)


def checks() -> list[Any]:
    """Returns every check of scikit-learn with the estimator that it is of."""
    found = []
    for cls in (EvenhandClassifier, EvenhandRegressor):
        estimator = cls("LitMLP", settings=SHORT, random_state=0)
        for number, (copy, check) in enumerate(estimator_checks_generator(estimator)):
            name = check.func.__name__
            if name in CORE:
                copy.set_params(settings=FEW)  # they look at shapes and at equal predictions alone
            marks = [] if name in (*CORE, *WITHOUT_TRAINING) else [pytest.mark.slow]
            found.append(pytest.param(copy, check, marks=marks, id=f"{cls.__name__}-{name}-{number}"))
    return found


@pytest.mark.parametrize(("estimator", "check"), checks())
def test_it_passes_the_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    try:
        check(estimator)
    except SkipTest as skipped:
        assert check.func.__name__ in SKIPPED
        pytest.skip(str(skipped))


def test_texts_dates_and_missing_values_of_a_frame_are_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    table = people(200).drop("id").rename({"income": "target"})  # as the estimator calls the column that it adds
    x, y = table.drop("label"), table["label"].to_numpy()
    classifier = EvenhandClassifier("LitMLP", settings=SHORT, random_state=1).fit(x, y)
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())  # the run is gone
    assert classifier.classes_.tolist() == ["no", "yes"]
    assert classifier.feature_names_in_.tolist() == x.columns
    probabilities = classifier.predict_proba(x)
    assert numpy.allclose(probabilities.sum(axis=1), 1)
    assert (classifier.predict(x) == classifier.classes_[probabilities.argmax(axis=1)]).all()
    assert classifier.score(x, y) > 0.8
    assert (pickle.loads(pickle.dumps(classifier)).predict_proba(x) == probabilities).all()
    with pytest.raises(ValueError, match="feature names"):
        classifier.predict(x.rename({"age": "years"}))


def test_a_folder_keeps_the_run(tmp_path: Path) -> None:
    x, y = load_iris(return_X_y=True)
    classifier = EvenhandClassifier("LitMLP", settings=FEW, random_state=3, folder=tmp_path, validation_fraction=0)
    probabilities = classifier.fit(x, y).predict_proba(x)
    record = classifier.run_.record
    assert classifier.run_.path.is_relative_to(tmp_path / "runs")
    assert (record["rows"]["train"], record["rows"]["val"]) == (150, 0)
    again = evenhand.load(classifier.run_).predict(dict(zip(("x0", "x1", "x2", "x3"), x.T, strict=True)))
    assert numpy.array_equal(again.select("^probability_.*$").to_numpy(), probabilities)


def test_it_is_cross_validated_in_a_pipeline_and_its_seed_repeats_it() -> None:
    x, y = load_iris(return_X_y=True)
    classifier = EvenhandClassifier("LitMLP", settings={**SHORT, **QUICK}, random_state=0)
    pipeline, folds = make_pipeline(StandardScaler(), classifier), [*StratifiedKFold(2).split(x, y)]
    scores = cross_val_score(pipeline, x, y, cv=folds)
    assert scores.min() > 0.75  # a third by chance
    assert cross_val_score(clone(pipeline), x, y, cv=folds[:1]) == scores[:1]


def test_parameters_are_those_of_the_constructor() -> None:
    estimator = EvenhandRegressor(settings={"model.dropout": 0.1}, validation_fraction=0.2)
    names = ["folder", "model", "random_state", "settings", "trust", "validation_fraction"]
    assert sorted(estimator.get_params()) == names
    assert clone(estimator.set_params(model="LitMLP")).get_params() == estimator.get_params()


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"validation_fraction": 1.0}, r"validation_fraction is 1.0; it is in \[0, 1\)"),
        ({"validation_fraction": -0.1}, "validation_fraction is -0.1"),
        ({"settings": {"data.task": "binary"}}, "settings has 'data.task', which the estimator sets; leave it out"),
        ({"settings": {"seed_everything": 1}}, "settings has 'seed_everything'"),
        ({"settings": {"model.hiden": 1}}, "has no setting 'hiden'"),
        ({"model": "LitMPL"}, "there is no class 'LitMPL'; nearest: LitMLP"),
    ],
)
def test_misuse_is_one_sentence(parameters: dict[str, Any], sentence: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match=sentence) as raised:
        EvenhandRegressor(**parameters).fit(numpy.arange(40.0).reshape(20, 2), numpy.arange(20.0))
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="y has one class, a; a classifier needs rows of two classes"):
        EvenhandClassifier().fit(numpy.eye(3), ["a", "a", "a"])


@settings(EXAMPLES)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=80), st.floats(0, 0.99), st.integers(0, 9))
def test_validation_rows_are_a_fraction_of_each_class(codes: list[int], fraction: float, seed: int) -> None:
    groups = numpy.array(codes)
    mask = validation_rows(groups, fraction, numpy.random.RandomState(seed))
    for group in {*codes}:
        assert mask[groups == group].sum() == int(codes.count(group) * fraction)
        assert not mask[groups == group].all()


def test_without_scikit_learn_only_the_estimators_are_missing() -> None:
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "from evenhand import *\n"
        "import evenhand; assert fit is evenhand.fit and 'EvenhandClassifier' in dir(evenhand)\n"
        "evenhand.EvenhandClassifier"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    *_, sentence = done.stderr.splitlines()
    assert sentence == "ImportError: the estimators need scikit-learn; pip install '.[sklearn]' in the checkout"


def test_the_page_lists_the_checks_that_are_skipped() -> None:
    page = (REPOSITORY / "docs" / "python.md").read_text()
    listed = dict(re.findall(r"^\| `(check_\w+)` \| (.+) \|$", page, re.MULTILINE))
    assert listed == SKIPPED
