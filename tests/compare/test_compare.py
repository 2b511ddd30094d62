"""``evenhand compare``: groups, verdicts, labels and blocks, and that it is quick."""

import json
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
from compared_groups import TARGET, Output, group
from conftest import Fit
from handmade_runs import guesses, record_run
from sklearn import metrics as sklearn


def test_groups_differ_in_more_than_the_seed_and_the_best_comes_first(tmp_path: Path, compare_json: Any) -> None:
    weak, strong = group(tmp_path / "a", 0.5, 5, "LitMLP"), group(tmp_path / "a", 3.0, 5, "LitCNN")
    (block,) = compare_json(tmp_path)["blocks"]
    first, second = block["groups"]
    assert (first["group"], second["group"]) == ("LitCNN", "LitMLP")
    assert (first["n"], second["n"]) == (5, 5)
    assert {run["run"] for run in second["runs"]} == set(map(str, weak))
    assert {run["run"] for run in first["runs"]} == set(map(str, strong))
    assert (first["verdict"], second["verdict"]) == ("best", "worse")
    assert second["difference"] == pytest.approx(second["mean"] - first["mean"])
    values = [run["metrics"]["accuracy"] for run in first["runs"]]
    assert first["mean"] == pytest.approx(numpy.mean(values))
    assert first["sd"] == pytest.approx(numpy.std(values, ddof=1))
    assert (first["best_run"], first["median_run"]) == (first["runs"][0]["run"], first["runs"][2]["run"])
    assert values == sorted(values, reverse=True)
    assert first["seconds"] == 4.0


@pytest.mark.parametrize(
    ("seeds", "verdict"),
    [
        (1, r"worse by \.\d+$"),
        (3, r"worse by \.\d+$"),
        (4, r"worse by \.\d+ \(p = \.029\)$"),
    ],
)
def test_a_claim_needs_seeds(tmp_path: Path, compare_output: Output, seeds: int, verdict: str) -> None:
    group(tmp_path / "a", 0.0, seeds, "LitMLP")
    group(tmp_path / "a", 5.0, seeds, "LitCNN")
    output = compare_output(tmp_path)
    assert re.search(verdict, output, re.MULTILINE)
    assert ("Too few seeds to tell" in output) == (seeds < 4)
    assert ("95 % interval" in output) == (seeds > 2)


def test_nothing_stands_twice_where_each_group_has_one_run(tmp_path: Path, compare_output: Output) -> None:
    group(tmp_path / "a", 0.0, 1, "LitMLP")
    group(tmp_path / "a", 5.0, 1, "LitCNN")
    output = compare_output(tmp_path)
    heading = next(line for line in output.splitlines() if line.startswith(" group"))
    assert re.split(r"\s{2,}", heading.strip()) == [
        "group",
        "accuracy",
        "run",
        "parameters",
        "seconds",
        "against the best",
    ]
    for name in ("LitMLP-0", "LitCNN-0"):
        assert output.count(name) == 1


def test_equal_groups_show_no_difference(tmp_path: Path, compare_json: Any) -> None:
    generator = numpy.random.default_rng(0)
    for seed in range(6):
        for model in ("LitMLP", "LitCNN"):
            folder = tmp_path / f"{model}{seed}"
            record_run(folder, TARGET, guesses(generator, TARGET, 1.0), model=model, seed=seed)
    assert compare_json(tmp_path)["blocks"][0]["groups"][1]["verdict"] == "no difference shown"


def test_the_same_predictions_show_no_difference(tmp_path: Path, compare_json: Any) -> None:
    prediction = guesses(numpy.random.default_rng(0), TARGET, 1.0)
    for seed in range(5):
        for model in ("LitMLP", "LitCNN"):
            record_run(tmp_path / f"{model}{seed}", TARGET, prediction, model=model, seed=seed)
    second = compare_json(tmp_path)["blocks"][0]["groups"][1]
    assert (second["verdict"], second["p"], second["margin"]) == ("no difference shown", 1.0, 0.0)


def test_lower_is_better_for_an_error(tmp_path: Path, compare_json: Any) -> None:
    generator = numpy.random.default_rng(0)
    target = generator.normal(size=100)
    for seed in range(5):
        for model, noise in (("LitMLP", 0.1), ("LitLinear", 2.0)):
            prediction = target + generator.normal(0, noise, 100)
            record_run(tmp_path / f"{model}{seed}", target, prediction, "regression", model, seed)
    first, second = compare_json(tmp_path)["blocks"][0]["groups"]
    assert (first["group"], second["verdict"]) == ("LitMLP", "worse")
    values = [run["metrics"]["rmse"] for run in first["runs"]]
    assert values == sorted(values)


def test_few_test_rows_show_nothing(tmp_path: Path, compare_json: Any) -> None:
    target = numpy.array([0, 1, 2, 0])
    for seed in range(5):
        for model, shift in (("LitMLP", 0), ("LitLinear", 1)):
            record_run(tmp_path / f"{model}{seed}", target, numpy.eye(3)[(target + shift) % 3], model=model, seed=seed)
    assert compare_json(tmp_path)["blocks"][0]["groups"][1]["verdict"].startswith("too few test rows")


def test_labels_name_the_model_and_what_differs_between_its_groups(tmp_path: Path, compare_json: Any) -> None:
    onecycle = {"model.schedule.scheduler": "OneCycleLR", "model.schedule.scheduler.pct_start": 0.3}
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        "LitMLP lr=0.1": ("LitMLP", {"model.optimizer": "SGD", "model.optimizer.lr": 0.1, "model.dropout": 0.1}),
        "LitMLP lr=0.01": ("LitMLP", {"model.optimizer": "SGD", "model.optimizer.lr": 0.01, "model.dropout": 0.1}),
        "LitCNN": ("LitCNN", {"model.kernel_size": 5}),
        "LitCNN scheduler=OneCycleLR": ("LitCNN", {"model.kernel_size": 5} | onecycle),
        "LitRNN cell=gru": ("LitRNN", {"model.cell": "gru"}),
        "LitRNN cell=lstm": ("LitRNN", {"model.cell": "lstm"}),
    }
    for index, (model, settings) in enumerate(kinds.values()):
        group(tmp_path / "a", 1.0 + index, 2, model, name=str(index), settings=settings)
    assert {group["group"] for group in compare_json(tmp_path)["blocks"][0]["groups"]} == set(kinds)


def test_repeating_a_run_adds_no_evidence(tmp_path: Path, compare_json: Any) -> None:
    group(tmp_path / "a", 1.0, 3)
    shutil.copytree(tmp_path / "a", tmp_path / "copies")
    content = compare_json(tmp_path)
    assert content["blocks"][0]["groups"][0]["n"] == 3
    assert [run["reason"] for run in content["left_out"]] == ["has the settings and the seed of a newer run"] * 3


UNLIKE: list[tuple[dict[str, Any], str]] = [
    ({"fingerprints": {"data": "others", "split": "one"}}, "fingerprints of the data differ"),
    ({"split": "another"}, "0 of the first's 1 split among its 1 split"),
    ({"rank_by": "test/f1_macro"}, "ranked by f1_macro, and by accuracy in the first"),
]


@pytest.mark.parametrize(("changes", "why"), UNLIKE)
def test_unlike_runs_are_not_compared(
    tmp_path: Path, compare_output: Output, changes: dict[str, Any], why: str
) -> None:
    group(tmp_path / "a", 1.0, 2, "LitMLP")
    group(tmp_path / "a", 3.0, 2, "LitCNN")
    group(tmp_path / "b", 2.0, 2, "LitRNN", **changes)
    output = compare_output(tmp_path)
    assert f"2. Blobs: {changes.get('rank_by', 'accuracy').removeprefix('test/')}" in output
    assert f"not compared with the first: {why}" in " ".join(output.split()) or why in output
    assert "best" in output.partition("2. Blobs")[0]
    assert "against the best" not in output.partition("2. Blobs")[2]


def test_another_task_is_not_compared(tmp_path: Path, compare_output: Output) -> None:
    group(tmp_path / "a", 1.0, 2)
    group(tmp_path / "a", 1.0, 2, "LitCNN")
    record_run(tmp_path / "b", TARGET * 1.0, TARGET + 0.5, "regression")
    assert "the task is regression, and multiclass in the first" in compare_output(tmp_path)


def test_repeated_splits_are_compared_split_by_split(tmp_path: Path, compare_json: Any) -> None:
    # Splits differ far more than models do: only pairs on a split show the difference.
    generator = numpy.random.default_rng(0)
    target = generator.integers(0, 3, 400)
    for split in range(8):
        for model, skill in (("LitMLP", 0.0), ("LitCNN", 1.2)):
            prediction = guesses(generator, target, skill + split / 3)
            folder = tmp_path / f"{model}{split}"
            record_run(folder, target, prediction, model=model, split=str(split), row=numpy.arange(400) + 400 * split)
    (block,) = compare_json(tmp_path)["blocks"]
    assert len(block["splits"]) == 8
    assert [group["n"] for group in block["groups"]] == [8, 8]
    assert block["groups"][1]["verdict"] == "worse"
    assert "over splits" in block["notes"][0]


def test_a_metric_that_no_run_was_trained_with(tmp_path: Path, compare_json: Any) -> None:
    (path,) = group(tmp_path / "a", 1.0, 1)
    generator = numpy.random.default_rng(5)
    probability = guesses(generator, TARGET, 1.0)
    shutil.rmtree(path)
    record_run(path, TARGET, probability)
    (block,) = compare_json(tmp_path, "--metric", "log_loss")["blocks"]
    assert block["metric"] == "log_loss"
    assert block["groups"][0]["mean"] == pytest.approx(sklearn.log_loss(TARGET, probability), abs=1e-9)


def test_two_fits_compare(fit: Fit, root: Path, compare_json: Any, compare_output: Output) -> None:
    tiny = ("--data", "Tiny", "--trainer.max_epochs", "2", "--data.batch_size", "10")
    records = {
        (model, seed): fit(*tiny, "--model", model, "--seed_everything", str(seed))
        for model in ("LitMLP", "LitLinear")
        for seed in (0, 1)
    }
    (block,) = compare_json(root / "runs")["blocks"]
    assert {group["group"]: group["n"] for group in block["groups"]} == {"LitMLP": 2, "LitLinear": 2}
    for named in block["groups"]:
        for run in named["runs"]:
            recorded = records[(named["settings"]["model"], run["seed"])]["metrics"]
            again = {f"test/{name}": run["metrics"][name] for name in run["metrics"] if f"test/{name}" in recorded}
            assert again == pytest.approx({name: recorded[name] for name in again}, abs=1e-6)
            assert len(again) == 5
    compare_output(root / "runs", "--figures", root / "figures")
    assert (root / "figures" / "curves.svg").stat().st_size > 10_000


def seconds(*words: object) -> tuple[float, str]:
    """Runs a command in a process; returns its CPU time and its output."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


@pytest.mark.parametrize("runs", [300, pytest.param(1000, marks=pytest.mark.slow)])
def test_it_is_quick_and_needs_no_torch(tmp_path: Path, runs: int) -> None:
    generator = numpy.random.default_rng(0)
    target = generator.integers(0, 10, 1000)
    made = record_run(tmp_path / "made", target, guesses(generator, target, 2.0, 10))
    content = json.loads((made / "record.json").read_text())
    for index in range(runs):
        folder = tmp_path / "runs" / ("few" if index < 100 else "more") / str(index)
        shutil.copytree(made, folder)
        content |= {"seed": index % 5, "model": f"Lit{index // 5}"}
        content["hyperparameters"] |= {"seed": content["seed"], "model": content["model"]}
        (folder / "record.json").write_text(json.dumps(content))
    help_time, _ = seconds("-m", "experiments", "compare", "--help")
    loaded = "import sys; from experiments.__main__ import main; main(sys.argv[1:]); print(sorted(sys.modules))"
    few, output = seconds("-c", loaded, "compare", tmp_path / "runs" / "few")
    many, all_output = seconds("-m", "experiments", "compare", tmp_path / "runs")
    assert (output.count(" Lit"), all_output.count(" Lit")) == (20, runs // 5)
    assert help_time < 0.6
    # The promise is a second for a hundred runs on an ordinary machine. On any machine, they take about ten times as
    # long as the help, and ten times as many runs take at most ten times as long.
    assert few < 20 * help_time
    assert many < runs / 100 * few
    modules = output.splitlines()[-1]
    for name in ("torch", "scipy", "matplotlib", "sklearn", "pandas"):
        assert f"'{name}'" not in modules
    assert "'polars'" in modules


def test_flops_are_in_the_tables_and_none_where_a_record_has_none(
    tmp_path: Path, compare_output: Output, compare_json: Any
) -> None:
    for model, flops in {"LitCNN": 316_033_536, "LitMLP": 999_999, "LitRNN": None}.items():
        group(tmp_path / "a", 1.0, 2, model, flops=flops)
    group(tmp_path / "a", 0.5, 1, "LitLinear", flops=160)
    group(tmp_path / "a", 0.4, 1, "LitEarlier")  # of a version that did not count
    rows = {line.split()[0]: line.split() for line in compare_output(tmp_path).splitlines() if line.startswith(" Lit")}
    shown = {"LitCNN": "316M", "LitMLP": "1M", "LitRNN": "–", "LitLinear": "160", "LitEarlier": "–"}
    seconds = {"LitCNN": "2.5", "LitMLP": "2.5", "LitRNN": "2.5", "LitLinear": "2.0", "LitEarlier": "2.0"}
    assert {name: row[row.index(seconds[name]) + 1] for name, row in rows.items()} == shown
    counts = {row["group"]: row["flops"] for row in compare_json(tmp_path)["blocks"][0]["groups"]}
    assert counts == {"LitCNN": 316_033_536, "LitMLP": 999_999, "LitRNN": None, "LitLinear": 160, "LitEarlier": None}
    lines = compare_output(tmp_path, "--format", "csv").splitlines()
    column = lines[0].split(",").index("flops")
    assert sorted(line.split(",")[column] for line in lines[1:]) == ["", "", "160", "316033536", "999999"]
