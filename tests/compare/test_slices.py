"""``evenhand compare --by``: metrics of slices of the test rows and of classes."""

import csv
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
from compared_groups import TARGET, Output, group
from conftest import Fit
from handmade_runs import guesses, record_run
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sklearn
from tiny_data import PLAIN, QUICK

from experiments.__main__ import main
from experiments.compare.groups import blocks_of
from experiments.compare.load_runs import read_runs
from experiments.compare.slices import BINS, MIN_ROWS, score_slices, slices_of

Refused = Callable[..., str]


@pytest.fixture
def fails(capfd: pytest.CaptureFixture[str]) -> Refused:
    def run(*words: object) -> str:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main(["compare", *map(str, words)])
        message = capfd.readouterr().err.strip()
        assert (stopped.value.code, len(message.splitlines())) == (2, 1), message
        return message

    return run


def write_people(path: Path, rows: int = 600) -> polars.DataFrame:
    """Writes a table in which the old are hard to tell, whom the input does not describe; returns it."""
    generator = numpy.random.default_rng(0)
    age = generator.integers(18, 80, rows)
    label = generator.integers(0, 2, rows)
    x = numpy.where(age > 60, generator.normal(size=rows), 4.0 * label - 2) + generator.normal(0, 0.3, rows)
    town = numpy.where(generator.random(rows) < 0.5, "Rome", "Oslo")
    frame = polars.DataFrame({"x": x, "age": age, "town": town, "label": numpy.where(label == 1, "yes", "no")})
    frame = frame.with_columns(age=polars.when(polars.int_range(rows) % 10 > 0).then("age"))
    frame.write_csv(path)
    return frame


@pytest.fixture
def run(fit: Fit, tmp_path: Path) -> Path:
    write_people(tmp_path / "people.csv")
    data = ("--data", "TableData", "--data.path", str(tmp_path / "people.csv"), "--data.target", "label")
    words = ("--data.drop", "[age]", "--data.ratios", "[0.4,0.1,0.5]", "--model", "LitLinear")
    record = fit(*data, *words, *PLAIN, "--trainer.max_epochs", "3", "--model.optimizer.lr", "0.1")
    return Path(record["path"])


def test_a_run_has_its_worst_slice_of_a_column_that_is_no_input_first(
    run: Path, tmp_path: Path, compare_json: Any, compare_output: Output, fails: Refused
) -> None:
    (block,) = compare_json(run, "--by", "age")["blocks"]
    slices = block["groups"][0]["slices"]
    assert len(slices) == BINS + 1
    assert {each["name"] for each in slices} >= {"missing"}
    assert slices[0]["name"].endswith("to 79")
    predictions, frame = polars.read_parquet(run / "predictions.parquet"), polars.read_csv(tmp_path / "people.csv")
    frame = frame[predictions["row"]].with_columns(right=(predictions["prediction"] > 0.5) == predictions["target"])
    for each in slices:
        rows = polars.col("age").is_null()
        if each["name"] != "missing":
            low, high = map(int, each["name"].split(" to "))
            rows = polars.col("age").is_between(low, high)
        right, others = frame.filter(rows)["right"], frame.filter(~rows.fill_null(False))["right"]
        assert each["rows"] == len(right)
        assert each["value"] == pytest.approx(right.mean())
        assert each["gap"] == pytest.approx(right.mean() - others.mean())
        assert each["low"] <= each["value"] <= each["high"]
    assert sum(each["rows"] for each in slices) == len(predictions)
    output = compare_output(run, "--by", "age")
    assert "accuracy by age, higher is better, of LitLinear, on 300 test rows" in output
    assert "worse by ." in output.split("to 79")[1].splitlines()[0]
    message = fails(run, "--by", "height")
    assert message.endswith("these are: target, x, town, age, label")
    (tmp_path / "people.csv").unlink()
    assert "reads the data of" in fails(run, "--by", "age")
    assert "no" in compare_output(run, "--by", "label")  # the target, which needs no data
    write_people(tmp_path / "people.csv", rows=599)
    assert "other ones now" in fails(run, "--by", "age")


def test_each_class_has_scikit_learns_scores(tmp_path: Path, compare_json: Any, compare_output: Output) -> None:
    folders = group(tmp_path / "a", 1.0, 1)
    prediction = polars.read_parquet(folders[0] / "predictions.parquet").select("^prediction_.*$").to_numpy()
    guess = prediction.argmax(axis=1)
    (block,) = compare_json(tmp_path, "--by", "target")["blocks"]
    slices = block["groups"][0]["slices"]
    assert [each["recall"] for each in slices] == sorted(each["recall"] for each in slices)
    for each in slices:
        index = int(each["name"])
        is_class = index == TARGET
        assert each["rows"] == is_class.sum()
        assert each["recall"] == pytest.approx(sklearn.recall_score(is_class, guess == index))
        assert each["precision"] == pytest.approx(sklearn.precision_score(is_class, guess == index))
        assert each["f1"] == pytest.approx(sklearn.f1_score(is_class, guess == index))
        assert each["auroc"] == pytest.approx(sklearn.roc_auc_score(is_class, prediction[:, index]))
        wrong = numpy.bincount(guess[is_class & (guess != index)], minlength=3)
        assert each["taken_for"] == f"{wrong.argmax()} ({wrong.max() / is_class.sum():.0%})"
    (folders[0] / "inspection.json").write_text(json.dumps({"classes": {"cat": {}, "dog": {}, "emu": {}}}))
    output = compare_output(tmp_path, "--by", "target")
    assert all(name in output for name in ("cat", "dog", "emu", "most often taken for"))


def test_labels_and_two_classes_have_scores_too(tmp_path: Path, compare_json: Any) -> None:
    generator = numpy.random.default_rng(0)
    target = generator.integers(0, 2, (80, 3))
    prediction = 1 / (1 + numpy.exp(-generator.normal(target - 0.5, 1)))
    record_run(tmp_path / "labels" / "a", target, prediction, "multilabel")
    record_run(tmp_path / "two" / "a", target[:, 0], prediction[:, 0], "binary")
    (labels,) = compare_json(tmp_path / "labels", "--by", "target")["blocks"]
    (two,) = compare_json(tmp_path / "two", "--by", "target")["blocks"]
    for slices, columns in ((labels, range(3)), (two, (0,))):
        by_name = {each["name"]: each for each in slices["groups"][0]["slices"]}
        for index in columns:
            each = by_name[str(index) if slices is labels else "1"]
            guess = prediction[:, index] > 0.5
            assert each["f1"] == pytest.approx(sklearn.f1_score(target[:, index], guess))
            assert each["auroc"] == pytest.approx(sklearn.roc_auc_score(target[:, index], prediction[:, index]))
    zero = next(each for each in two["groups"][0]["slices"] if each["name"] == "0")
    assert zero["recall"] == pytest.approx(sklearn.recall_score(target[:, 0] == 0, prediction[:, 0] <= 0.5))


def test_values_are_sliced_by_quantiles_of_the_target_and_any_metric(tmp_path: Path, compare_output: Output) -> None:
    generator = numpy.random.default_rng(0)
    target = generator.exponential(size=480)
    for model in ("LitMLP", "LitCNN"):
        for seed in range(3):
            record_run(
                tmp_path / f"{model}{seed}", target, target + generator.normal(0, target), "regression", model, seed
            )
    rows = [
        *csv.DictReader(io.StringIO(compare_output(tmp_path, "--by", "target", "--metric", "mae", "--format", "csv")))
    ]
    assert [row["group"] for row in rows] == ["LitCNN"] * BINS + ["LitMLP"] * BINS
    assert [row["metric"] for row in rows] == ["mae"] * 2 * BINS
    assert rows[0]["name"].endswith(f"to {target.max():.6g}")
    assert float(rows[0]["gap_low"]) > 0  # worse: the error is larger
    markdown = compare_output(tmp_path, "--by", "target", "--format", "markdown")
    assert markdown.count("against the other rows") == 2


def test_it_needs_no_torch_for_the_target(tmp_path: Path) -> None:
    group(tmp_path / "a", 1.0, 1)
    loaded = "import sys; from experiments.__main__ import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    words = [sys.executable, "-c", loaded, "compare", str(tmp_path), "--by", "target"]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize("words", [["--ensemble"], ["--what-changed"], ["--figures", "x"], ["--sort", "n"]])
def test_options_of_other_tables_are_refused(tmp_path: Path, fails: Refused, words: list[str]) -> None:
    assert "--by" in fails(tmp_path, "--by", "target", *words)


def test_what_cannot_be_sliced_is_one_sentence(tmp_path: Path, fails: Refused) -> None:
    generator = numpy.random.default_rng(0)
    group(tmp_path / "a", 1.0, 1)
    assert "leave --metric out" in fails(tmp_path / "a", "--by", "target", "--metric", "f1_macro")
    assert "has no configuration to read them with" in fails(tmp_path / "a", "--by", "age")
    for split in ("one", "two"):
        record_run(tmp_path / "b" / split, TARGET, guesses(generator, TARGET, 1.0), split=split)
    assert "these runs have 2 splits" in fails(tmp_path / "b", "--by", "target")
    values = generator.normal(size=(60, 2))
    record_run(tmp_path / "c" / "a", values, values, "regression")
    assert "these runs predict 2" in fails(tmp_path / "c", "--by", "target")


CELLS = st.one_of(
    st.lists(st.one_of(st.none(), st.integers(-3, 40)), min_size=1, max_size=80).map(polars.Series),
    st.lists(
        st.one_of(st.just(float("nan")), st.integers(-30, 30).map(lambda eighths: eighths / 8)), min_size=1, max_size=80
    ).map(polars.Series),
    st.lists(st.one_of(st.none(), st.sampled_from("abcdefghijklmno")), min_size=1, max_size=120).map(polars.Series),
    st.lists(st.dates(), min_size=1, max_size=60).map(polars.Series),
    st.lists(st.booleans(), min_size=1, max_size=30).map(polars.Series),
)


@QUICK
@given(CELLS)
def test_every_row_is_in_one_slice_of_any_column(cells: polars.Series) -> None:
    slices = slices_of(cells.alias("column"))
    counts = numpy.sum([each.rows for each in slices], axis=0)
    assert (counts == 1).all()
    assert all(each.rows.any() for each in slices)
    names = [each.name for each in slices]
    assert len({*names}) == len(names)
    rare = [each for each in slices if each.name.endswith("other values")]
    assert len(rare) <= 1
    assert all(each.rows.sum() >= MIN_ROWS for each in slices if rare and each.name not in (rare[0].name, "missing"))


@pytest.mark.parametrize("simulations", [8, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
def test_intervals_of_slices_cover_and_equal_slices_show_no_difference(tmp_path: Path, simulations: int) -> None:
    """Three slices of 60 to 200 rows with a column that tells nothing, and two runs whose skill differs by chance."""
    generator = numpy.random.default_rng(1)
    column = polars.Series("column", numpy.repeat(["a", "b", "c"], [60, 140, 200]))
    hits, alarms, path = numpy.zeros(3), 0, tmp_path / "runs"
    for _ in range(simulations):
        shutil.rmtree(path, ignore_errors=True)
        target, difficulty = generator.integers(0, 2, 400), generator.normal(0, 1, 400)
        for seed in range(2):
            right = generator.normal(1.2, 0.1) + difficulty + generator.normal(0, 1, 400) > 0
            record_run(
                path / str(seed), target, numpy.where(right, target, 1 - target) * 0.8 + 0.1, "binary", seed=seed
            )
        (block,) = blocks_of(read_runs([path])[0], None)
        scores = sorted(score_slices(block, block.groups[0], slices_of(column)), key=lambda score: score.name)
        truth = stats.norm.cdf(1.2 / numpy.sqrt(2 + 0.1**2))
        hits += [score.low <= truth <= score.high for score in scores]
        alarms += any(not score.gap_low <= 0 <= score.gap_high for score in scores)
    assert (hits >= stats.binom.ppf(0.001, simulations, 0.95)).all()
    assert alarms <= stats.binom.ppf(0.999, simulations, 0.05)
