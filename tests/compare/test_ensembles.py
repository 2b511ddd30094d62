"""``evenhand compare --ensemble``: the mean of a group's predictions, against scikit-learn."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from compared_groups import TARGET, Output, group
from handmade_runs import guesses, record_run
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sklearn
from tiny_data import QUICK

from experiments.__main__ import main

Refused = Callable[..., str]


@pytest.fixture
def compare_refused(capfd: pytest.CaptureFixture[str]) -> Refused:
    """Runs ``evenhand compare`` that must end with exit code 2 and one sentence; returns it."""

    def run(*words: object) -> str:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main(["compare", *map(str, words)])
        message = capfd.readouterr().err.strip()
        assert (stopped.value.code, len(message.splitlines())) == (2, 1)
        return message

    return run


def sigmoid(values: Any) -> Any:
    return 1 / (1 + numpy.exp(-values))


def draw(task: str, generator: Any, members: int) -> tuple[Any, list[Any]]:
    """Returns a target of 60 rows and predictions of so many runs."""
    if task == "regression":
        target = generator.normal(size=(60, 2))
        return target, [target + generator.normal(0, 0.5, (60, 2)) for _ in range(members)]
    if task == "multiclass":
        target = generator.integers(0, 3, 60)
        return target, [guesses(generator, target, 1.0) for _ in range(members)]
    target = generator.integers(0, 2, 60 if task == "binary" else (60, 3))
    return target, [sigmoid(generator.normal(target - 0.5, 1.5)) for _ in range(members)]


def expected(task: str, target: Any, mean: Any) -> dict[str, float]:
    """Computes scikit-learn's metrics of averaged predictions."""
    if task == "regression":
        return {
            "rmse": sklearn.root_mean_squared_error(target, mean),
            "mae": sklearn.mean_absolute_error(target, mean),
            "r2": sklearn.r2_score(target, mean),
        }
    guess = mean.argmax(axis=1) if task == "multiclass" else (mean > 0.5).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if task == "multilabel":
            return {
                "f1_macro": sklearn.f1_score(target, guess, average="macro"),
                "accuracy_micro": float((guess == target).mean()),
                "auroc_macro": sklearn.roc_auc_score(target, mean, average="macro"),
            }
        auroc = {"multi_class": "ovr", "labels": [0, 1, 2]} if task == "multiclass" else {}
        return {
            "accuracy": sklearn.accuracy_score(target, guess),
            "auroc" + "_macro" * (task == "multiclass"): sklearn.roc_auc_score(target, mean, **auroc),
            "log_loss": sklearn.log_loss(target, mean),
            "mcc": sklearn.matthews_corrcoef(target, guess),
        }


@QUICK
@given(st.sampled_from(["binary", "multiclass", "multilabel", "regression"]), st.integers(2, 4), st.integers(0, 99))
def test_it_is_what_scikit_learn_computes_from_the_averaged_predictions(
    tmp_path_factory: pytest.TempPathFactory, task: str, members: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("runs")
    target, predictions = draw(task, numpy.random.default_rng(seed), members)
    for index, prediction in enumerate(predictions):
        record_run(folder / str(index), target, prediction, task, seed=index)
    from experiments.compare.comparison import compare
    from experiments.compare.groups import blocks_of
    from experiments.compare.load_runs import read_runs
    from experiments.compare.scoring import score

    scores, left = score(read_runs([folder])[0], None)
    assert not left
    (block,) = blocks_of(scores, None)
    (standing,) = compare(block, scores, ensembles=True)
    assert standing.ensemble is not None
    assert standing.ensemble.members == (members,)
    want = expected(task, target, numpy.mean(predictions, axis=0))
    assert {name: standing.ensemble.metrics[name] for name in want} == pytest.approx(want, abs=1e-9)
    assert standing.ensemble.mean == standing.ensemble.metrics[block.metric]


def test_it_stands_below_its_group_and_takes_no_part_in_the_ranking(
    tmp_path: Path, compare_json: Any, compare_output: Output
) -> None:
    group(tmp_path / "a", 1.0, 5, "LitMLP", flops=700)
    group(tmp_path / "a", 1.4, 5, "LitCNN", flops=900)
    group(tmp_path / "a", 0.5, 1, "LitRNN")
    (with_it,), (without,) = (compare_json(tmp_path, *words)["blocks"] for words in (["--ensemble"], []))
    together = [row.pop("ensemble", None) for row in with_it["groups"]]
    assert with_it["groups"] == without["groups"]
    assert [row and (row["group"], row["n"]) for row in together] == [("LitCNN", 5), ("LitMLP", 5), None]
    for row, standing in zip(together[:2], with_it["groups"], strict=False):
        assert row["low"] < row["mean"] < row["high"]
        costs = ("parameters", "seconds", "flops")
        assert [row[name] for name in costs] == [5 * standing[name] for name in costs]
    output = compare_output(tmp_path, "--ensemble", "--sort", "label")
    rows = [line.split()[:3] for line in output.splitlines() if line.startswith(" Lit")]
    assert [(name, count, word == "together") for name, count, word in rows] == [
        ("LitCNN", "5", False),
        ("LitCNN", "5", True),
        ("LitMLP", "5", False),
        ("LitMLP", "5", True),
        ("LitRNN", "1", False),
    ]
    assert "its interval is over test rows" in output
    assert "Not together, for a single run on a split: LitRNN." in output
    lines = compare_output(tmp_path, "--ensemble", "--format", "csv").splitlines()
    assert sum(",together," in line for line in lines) == 2
    assert len(lines) == 6


def test_over_several_splits_each_has_its_ensemble(tmp_path: Path, compare_json: Any) -> None:
    generator, values = numpy.random.default_rng(0), []
    for split in range(3):
        predictions = [guesses(generator, TARGET, 1.0) for _ in range(2)]
        for seed, prediction in enumerate(predictions):
            row = numpy.arange(200) + 200 * split
            record_run(tmp_path / f"{split}{seed}", TARGET, prediction, seed=seed, split=str(split), row=row)
        values.append(sklearn.accuracy_score(TARGET, numpy.mean(predictions, axis=0).argmax(axis=1)))
    (row,) = compare_json(tmp_path, "--ensemble")["blocks"][0]["groups"]
    together = row["ensemble"]
    half = stats.t.ppf(0.975, 2) * numpy.sqrt(1 / 3 + 200 / 1000) * numpy.std(values, ddof=1)
    assert (together["mean"], together["low"]) == pytest.approx((numpy.mean(values), numpy.mean(values) - half))
    assert together["n"] == 6


def test_without_several_runs_of_a_group_it_is_refused(tmp_path: Path, compare_refused: Refused) -> None:
    group(tmp_path / "a", 1.0, 1, "LitMLP")
    group(tmp_path / "a", 1.0, 1, "LitCNN")
    message = compare_refused(tmp_path, "--ensemble")
    assert message.endswith("train it with more seeds, or leave --ensemble out")


@pytest.mark.parametrize("other", [["--what-changed"], ["--paper", "paper.yaml"]])
def test_it_is_refused_beside_options_of_other_tables(
    tmp_path: Path, compare_refused: Refused, other: list[str]
) -> None:
    assert "--ensemble" in compare_refused(tmp_path, "--ensemble", *other)


def test_runs_whose_rows_differ_are_left_out_and_not_averaged(tmp_path: Path, compare_json: Any) -> None:
    group(tmp_path / "a", 1.0, 3)
    generator = numpy.random.default_rng(0)
    record_run(tmp_path / "z", TARGET, guesses(generator, TARGET, 1.0), seed=9, row=numpy.arange(1, 201))
    content = compare_json(tmp_path, "--ensemble")
    assert content["blocks"][0]["groups"][0]["ensemble"]["n"] == 3
    assert "other test rows" in content["left_out"][0]["reason"]
