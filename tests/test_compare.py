"""``evenhand compare``: like with like, in words that the runs bear out, whatever state they are in."""

import csv
import io
import json
import re
import resource
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from conftest import Fit
from hypothesis import given
from hypothesis import strategies as st
from recorded import guesses, record_run
from sklearn import metrics as sklearn
from small import QUICK

from experiments.__main__ import main

Says = Callable[..., str]
TARGET = numpy.random.default_rng(7).integers(0, 3, 200)


def group(folder: Path, skill: float, seeds: int, model: str = "LitMLP", name: str = "", **changes: Any) -> list[Path]:
    """Runs of one model and as many seeds; equal ``skill`` makes equal groups."""
    generator = numpy.random.default_rng(zlib.crc32(f"{model} {skill}".encode()))
    return [
        record_run(
            folder / f"{name or model}-{seed}",
            TARGET,
            guesses(generator, TARGET, skill),
            model=model,
            seed=seed,
            **changes,
        )
        for seed in range(seeds)
    ]


@pytest.fixture
def says(capfd: pytest.CaptureFixture[str]) -> Says:
    """What the command prints."""

    def run(*words: object) -> str:
        capfd.readouterr()
        assert main(["compare", *map(str, words)]) == 0
        return capfd.readouterr().out

    return run


@pytest.fixture
def told(says: Says) -> Callable[..., Any]:
    """What it prints as JSON."""
    return lambda *words: json.loads(says(*words, "--format", "json"))


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str]) -> Says:
    """The one sentence with which it ends, exit code 2."""

    def run(*words: object) -> str:
        with pytest.raises(SystemExit) as stopped:
            main(["compare", *map(str, words)])
        assert stopped.value.code == 2
        said = capfd.readouterr().err.strip()
        assert said.startswith("error: ")
        assert len(said.splitlines()) == 1
        return said

    return run


def test_groups_differ_in_more_than_the_seed_and_the_best_comes_first(tmp_path: Path, told: Any) -> None:
    weak, strong = group(tmp_path / "a", 0.5, 5, "LitMLP"), group(tmp_path / "a", 3.0, 5, "LitCNN")
    (block,) = told(tmp_path)["blocks"]
    first, second = block["groups"]
    assert (first["group"], second["group"]) == ("LitCNN", "LitMLP")
    assert (first["n"], second["n"]) == (5, 5)
    assert {run["run"] for run in second["runs"]} == set(map(str, weak))
    assert {run["run"] for run in first["runs"]} == set(map(str, strong))
    assert (first["verdict"], second["verdict"]) == ("best", "better")
    assert second["difference"] == pytest.approx(second["mean"] - first["mean"])
    values = [run["metrics"]["accuracy"] for run in first["runs"]]
    assert first["mean"] == pytest.approx(numpy.mean(values))
    assert first["sd"] == pytest.approx(numpy.std(values, ddof=1))
    assert (first["best_run"], first["median_run"]) == (first["runs"][0]["run"], first["runs"][2]["run"])
    assert values == sorted(values, reverse=True)
    assert first["seconds"] == 4.0


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        (1, "too few seeds to tell (n = 1 cannot reach p < 0.05)"),
        (3, "too few seeds to tell (n = 3 cannot reach p < 0.05)"),
        (4, "better (p = 0.029)"),
    ],
)
def test_a_claim_needs_seeds(tmp_path: Path, says: Says, seeds: int, words: str) -> None:
    group(tmp_path / "a", 0.0, seeds, "LitMLP")
    group(tmp_path / "a", 5.0, seeds, "LitCNN")
    assert words in says(tmp_path)


def test_equal_groups_are_not_told_apart(tmp_path: Path, told: Any) -> None:
    generator = numpy.random.default_rng(0)
    for seed in range(6):
        for model in ("LitMLP", "LitCNN"):
            folder = tmp_path / f"{model}{seed}"
            record_run(folder, TARGET, guesses(generator, TARGET, 1.0), model=model, seed=seed)
    assert told(tmp_path)["blocks"][0]["groups"][1]["verdict"] == "no difference shown"


def test_the_same_predictions_show_no_difference(tmp_path: Path, told: Any) -> None:
    prediction = guesses(numpy.random.default_rng(0), TARGET, 1.0)
    for seed in range(5):
        for model in ("LitMLP", "LitCNN"):
            record_run(tmp_path / f"{model}{seed}", TARGET, prediction, model=model, seed=seed)
    second = told(tmp_path)["blocks"][0]["groups"][1]
    assert (second["verdict"], second["p"], second["margin"]) == ("no difference shown", 1.0, 0.0)


def test_lower_is_better_for_an_error(tmp_path: Path, told: Any) -> None:
    generator = numpy.random.default_rng(0)
    target = generator.normal(size=100)
    for seed in range(5):
        for model, noise in (("LitMLP", 0.1), ("LitLinear", 2.0)):
            prediction = target + generator.normal(0, noise, 100)
            record_run(tmp_path / f"{model}{seed}", target, prediction, "regression", model, seed)
    first, second = told(tmp_path)["blocks"][0]["groups"]
    assert (first["group"], second["verdict"]) == ("LitMLP", "better")
    values = [run["metrics"]["rmse"] for run in first["runs"]]
    assert values == sorted(values)


def test_few_test_rows_tell_nothing(tmp_path: Path, told: Any) -> None:
    target = numpy.array([0, 1, 2, 0])
    for seed in range(5):
        for model, shift in (("LitMLP", 0), ("LitLinear", 1)):
            record_run(tmp_path / f"{model}{seed}", target, numpy.eye(3)[(target + shift) % 3], model=model, seed=seed)
    assert told(tmp_path)["blocks"][0]["groups"][1]["verdict"].startswith("too few test rows")


def test_labels_name_the_model_and_what_differs_between_its_groups(tmp_path: Path, told: Any) -> None:
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
    assert {one["group"] for one in told(tmp_path)["blocks"][0]["groups"]} == set(kinds)


def test_repeating_a_run_adds_no_evidence(tmp_path: Path, told: Any) -> None:
    group(tmp_path / "a", 1.0, 3)
    shutil.copytree(tmp_path / "a", tmp_path / "copies")
    content = told(tmp_path)
    assert content["blocks"][0]["groups"][0]["n"] == 3
    assert [one["reason"] for one in content["left_out"]] == ["has the settings and the seed of a newer run"] * 3


UNLIKE: list[tuple[dict[str, Any], str]] = [
    ({"fingerprints": {"data": "others", "split": "one"}}, "fingerprints of the data differ"),
    ({"split": "another"}, "0 of the first's 1 split among its 1 split"),
    ({"rank_by": "test/f1_macro"}, "ranked by f1_macro, and by accuracy in the first"),
]


@pytest.mark.parametrize(("changes", "why"), UNLIKE)
def test_unlike_runs_are_not_compared(tmp_path: Path, says: Says, changes: dict[str, Any], why: str) -> None:
    group(tmp_path / "a", 1.0, 2, "LitMLP")
    group(tmp_path / "a", 3.0, 2, "LitCNN")
    group(tmp_path / "b", 2.0, 2, "LitRNN", **changes)
    said = says(tmp_path)
    assert f"2. Blobs: {changes.get('rank_by', 'accuracy').removeprefix('test/')}" in said
    assert f"not compared with the first: {why}" in " ".join(said.split()) or why in said
    assert "nothing to compare with" in said.partition("2. Blobs")[2]


def test_another_task_is_not_compared(tmp_path: Path, says: Says) -> None:
    group(tmp_path / "a", 1.0, 2)
    group(tmp_path / "a", 1.0, 2, "LitCNN")
    record_run(tmp_path / "b", TARGET * 1.0, TARGET + 0.5, "regression")
    assert "the task is regression, and multiclass in the first" in says(tmp_path)


def test_repeated_splits_are_compared_split_by_split(tmp_path: Path, told: Any) -> None:
    # Splits differ far more than models do: only pairs on a split show the difference.
    generator = numpy.random.default_rng(0)
    target = generator.integers(0, 3, 400)
    for split in range(8):
        for model, skill in (("LitMLP", 0.0), ("LitCNN", 1.2)):
            prediction = guesses(generator, target, skill + split / 3)
            folder = tmp_path / f"{model}{split}"
            record_run(folder, target, prediction, model=model, split=str(split), row=numpy.arange(400) + 400 * split)
    (block,) = told(tmp_path)["blocks"]
    assert len(block["splits"]) == 8
    assert [one["n"] for one in block["groups"]] == [8, 8]
    assert block["groups"][1]["verdict"] == "better"
    assert "over splits" in block["notes"][0]


STATES = {
    "running": "still running",
    "interrupted": "interrupted",
    "diverged": "diverged",
    "failed": "failed",
    "untested": "not tested",
}


def test_unfinished_and_broken_runs_are_listed_and_stop_nothing(tmp_path: Path, says: Says) -> None:
    group(tmp_path / "good", 1.0, 2)
    bad = tmp_path / "bad"
    for state in STATES:
        group(bad, 1.0, 1, name=state, status=state)
    for name in ("half", "foreign", "empty", "unwritten", "without", "cut", "fewer", "others", "edited", "nan"):
        group(bad, 1.0, 1, name=name)
    half = bad / "half-0" / "record.json"
    half.write_text(half.read_text()[:200])
    (bad / "foreign-0" / "record.json").write_text('{"runs": []}')
    (bad / "empty-0" / "record.json").write_text("")
    (bad / "unwritten-0" / "record.json").rename(bad / "unwritten-0" / "record.json.new")
    (bad / "without-0" / "predictions.parquet").unlink()
    cut = bad / "cut-0" / "predictions.parquet"
    cut.write_bytes(cut.read_bytes()[:-100])
    change(bad / "fewer-0", rows={"train": 100, "test": 300})
    change(bad / "edited-0", metrics={"test/accuracy": 0.99})
    shutil.rmtree(bad / "others-0")
    record_run(bad / "others-0", TARGET, numpy.eye(3)[TARGET], row=numpy.arange(200) + 7, seed=50)
    change(bad / "nan-0", seed=51, hyperparameters=None)
    said = says(tmp_path)
    listed = dict(line.strip().split(": ", 1) for line in said.partition("left out:")[2].splitlines() if ": " in line)
    reasons = {Path(path).name.removesuffix("-0"): reason for path, reason in listed.items()}
    for state, word in STATES.items():
        assert word in reasons[state]
    for name in ("half", "empty", "nan"):
        assert reasons[name] == "its record.json cannot be read"
    assert reasons["foreign"] == "its record.json lacks 'status'"
    assert reasons["unwritten"] == "its record was never completely written"
    assert reasons["without"] == "its predictions.parquet is missing"
    assert reasons["cut"] == "its predictions.parquet cannot be read"
    assert reasons["fewer"] == "has predictions for 200 of its 300 test rows"
    assert "other test rows" in reasons["others"]
    assert "0.9900 in its record" in reasons["edited"]
    assert " LitMLP  2 " in said


def change(folder: Path, **changes: Any) -> None:
    path = folder / "record.json"
    content = json.loads(path.read_text())
    content["hyperparameters"]["model.number"] = str(folder)  # or it would be the same run once more
    path.write_text(json.dumps(content | changes))


@pytest.fixture(scope="module")
def one_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzzed") / "runs"
    group(folder, 1.0, 2)
    return folder


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@QUICK
@given(data=st.data())
def test_no_record_stops_the_others(one_run: Path, data: st.DataObject) -> None:
    folder = one_run.parent / "other" / "one"
    if not folder.exists():
        record_run(folder, TARGET, guesses(numpy.random.default_rng(1), TARGET, 1.0), seed=9)
        (folder / "kept").write_text((folder / "record.json").read_text())
    content = json.loads((folder / "kept").read_text())
    content[data.draw(st.sampled_from(sorted(content)))] = data.draw(PLAIN)
    (folder / "record.json").write_text(json.dumps(content))
    assert main(["compare", str(one_run), str(folder), "--format", "json"]) == 0


@QUICK
@given(at=st.integers(0, 3000), byte=st.integers(0, 255))
def test_no_predictions_file_stops_the_others(one_run: Path, at: int, byte: int) -> None:
    folder = one_run.parent / "damaged" / "one"
    path = folder / "predictions.parquet"
    if not folder.exists():
        record_run(folder, TARGET, guesses(numpy.random.default_rng(1), TARGET, 1.0), seed=9)
        (folder / "kept").write_bytes(path.read_bytes())
    content = bytearray((folder / "kept").read_bytes())
    content[at % len(content)] = byte
    path.write_bytes(content[: len(content) - (at % 7)])
    assert main(["compare", str(one_run), str(folder), "--format", "json"]) == 0


def test_a_metric_that_no_run_was_trained_with(tmp_path: Path, told: Any) -> None:
    (path,) = group(tmp_path / "a", 1.0, 1)
    generator = numpy.random.default_rng(5)
    probability = guesses(generator, TARGET, 1.0)
    shutil.rmtree(path)
    record_run(path, TARGET, probability)
    (block,) = told(tmp_path, "--metric", "log_loss")["blocks"]
    assert block["metric"] == "log_loss"
    assert block["groups"][0]["mean"] == pytest.approx(sklearn.log_loss(TARGET, probability), abs=1e-9)


def test_where_takes_the_runs_that_are_set_so(tmp_path: Path, told: Any, refused: Says) -> None:
    for dropout in (0.1, 0.5):
        settings = {"model.dropout": dropout, "model.hidden": "[8, 8]"}
        group(tmp_path / "a", 1.0 + dropout, 2, name=str(dropout), settings=settings)

    def kept(*words: str) -> int:
        return sum(one["n"] for one in told(tmp_path, *words)["blocks"][0]["groups"])

    assert kept("--where", "model.dropout=0.10") == 2
    assert kept("--where", "model.hidden=[8,8]") == 4
    assert kept("--where", "model.dropout=0.5", "--where", "seed=1") == 1
    assert "model.dropout is 0.1, 0.5" in refused(tmp_path, "--where", "model.dropout=0.3")
    assert "nearest: model.dropout" in refused(tmp_path, "--where", "model.dropuot=0.1")
    assert "NAME=VALUE" in refused(tmp_path, "--where", "model.dropout")


def test_what_changed_shows_only_settings_that_differ(tmp_path: Path, says: Says) -> None:
    for lr in (0.1, 0.01):
        group(tmp_path / "a", 1.0 + lr, 3, name=str(lr), settings={"model.lr": lr, "model.width": 8})
    said = says(tmp_path, "--what-changed", "--format", "markdown").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in said if line.startswith("| ")]
    assert rows[0] == ["group", "model.lr", "seed"]
    assert {tuple(row[1:]) for row in rows[2:]} == {("0.1", "0, 1, 2"), ("0.01", "0, 1, 2")}


def test_sorting(tmp_path: Path, told: Any) -> None:
    for index, (skill, parameters) in enumerate([(1.0, 30), (3.0, 20), (2.0, 10)]):
        group(tmp_path / "a", skill, 2, f"Lit{'CAB'[index]}", parameters=parameters)

    def order(by: str) -> str:
        return "".join(one["group"][-1] for one in told(tmp_path, "--sort", by)["blocks"][0]["groups"])

    assert (order("metric"), order("label"), order("parameters")) == ("ABC", "ABC", "BAC")


def test_every_format_says_the_same(tmp_path: Path, says: Says, told: Any) -> None:
    group(tmp_path / "a", 0.5, 5, "LitMLP", settings={"model.a_b": "50 % & more"})
    group(tmp_path / "a", 3.0, 5, "LitMLP", name="other", settings={"model.a_b": "x|y"})
    first, second = told(tmp_path)["blocks"][0]["groups"]
    rows = [*csv.DictReader(io.StringIO(says(tmp_path, "--format", "csv")))]
    assert [float(row["mean"]) for row in rows] == [first["mean"], second["mean"]]
    assert [row["verdict"] for row in rows] == ["best", "better"]
    mean = f"{first['mean']:.4f}"
    markdown = says(tmp_path, "--format", "markdown")
    assert f"| LitMLP a_b=x\\|y | 5 | {mean} |" in markdown
    latex = says(tmp_path, "--format", "latex")
    assert f"LitMLP a\\_b=x|y & 5 & {mean} &" in latex
    assert "a\\_b=50 \\% \\& more" in latex
    assert latex.count("\\begin{tabular}") == latex.count("\\end{tabular}") == 1
    assert mean in says(tmp_path)


def test_a_narrow_terminal_gets_every_number_whole(tmp_path: Path, says: Says, monkeypatch: pytest.MonkeyPatch) -> None:
    group(tmp_path / "a", 0.5, 3, "LitTransformer")
    group(tmp_path / "a", 3.0, 3, "LitCNN")
    wide = says(tmp_path).split()
    for name, value in {"FORCE_COLOR": "1", "NO_COLOR": "1", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in says(tmp_path).splitlines()]
    assert max(map(len, lines)) <= 80
    numbers = {word for word in wide if re.match(r"[-+]?[\d,]+\.?\d*$", word)}
    assert len(numbers) > 8
    assert numbers <= set(" ".join(lines).split())


def test_what_cannot_be_used_is_refused_in_a_sentence(tmp_path: Path, refused: Says) -> None:
    assert "there is no folder" in refused(tmp_path / "nowhere")
    assert "no run is at or below" in refused(tmp_path)
    group(tmp_path / "a", 1.0, 1)
    assert "accuracy, auroc_macro" in refused(tmp_path, "--metric", "rmse")
    assert "--figure" in refused(tmp_path, "--figure", "x")
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refused(tmp_path, "--figures", tmp_path / "file")


def test_figures_are_png_and_svg(tmp_path: Path, says: Says) -> None:
    for model, skill in (("LitMLP", 1.0), ("LitCNN", 3.0), ("LitRNN", 2.0)):
        group(tmp_path / "runs", skill, 3, model)
    says(tmp_path / "runs", "--figures", tmp_path / "figures")
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        f"{name}.{kind}" for name in ("costs", "ranks") for kind in ("png", "svg")
    }  # no curves: these runs have no TensorBoard events
    assert (tmp_path / "figures" / "ranks.png").read_bytes()[1:4] == b"PNG"


def test_two_fits_compare(fit: Fit, root: Path, told: Any, says: Says) -> None:
    tiny = ("--data", "Tiny", "--trainer.max_epochs", "2", "--data.batch_size", "10")
    records = {
        (model, seed): fit(*tiny, "--model", model, "--seed_everything", str(seed))
        for model in ("LitMLP", "LitLinear")
        for seed in (0, 1)
    }
    (block,) = told(root / "runs")["blocks"]
    assert {one["group"]: one["n"] for one in block["groups"]} == {"LitMLP": 2, "LitLinear": 2}
    for one in block["groups"]:
        for run in one["runs"]:
            recorded = records[(one["settings"]["model"], run["seed"])]["metrics"]
            again = {f"test/{name}": run["metrics"][name] for name in run["metrics"] if f"test/{name}" in recorded}
            assert again == pytest.approx({name: recorded[name] for name in again}, abs=1e-6)
            assert len(again) == 5
    says(root / "runs", "--figures", root / "figures")
    assert (root / "figures" / "curves.svg").stat().st_size > 10_000


def seconds(*words: object) -> tuple[float, str]:
    """The processor's time that a command takes in a process of its own, and what it prints."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def test_it_is_quick_and_needs_no_torch(tmp_path: Path) -> None:
    generator = numpy.random.default_rng(0)
    target = generator.integers(0, 10, 1000)
    made = record_run(tmp_path / "made", target, guesses(generator, target, 2.0, 10))
    content = json.loads((made / "record.json").read_text())
    for index in range(1000):
        folder = tmp_path / "runs" / ("few" if index < 100 else "more") / str(index)
        shutil.copytree(made, folder)
        content |= {"seed": index % 5, "model": f"Lit{index // 5}"}
        content["hyperparameters"] |= {"seed": content["seed"], "model": content["model"]}
        (folder / "record.json").write_text(json.dumps(content))
    help_time, _ = seconds("-m", "experiments", "compare", "--help")
    few, said = seconds("-m", "experiments", "compare", tmp_path / "runs" / "few")
    many, all_said = seconds("-m", "experiments", "compare", tmp_path / "runs")
    assert (said.count(" Lit"), all_said.count(" Lit")) == (20, 200)
    assert help_time < 0.4
    assert few < 1.5  # the promise is 1 s, on a machine that does nothing else
    assert many < 5
    loaded = "import sys; from experiments.__main__ import main; main(sys.argv[1:]); print(sorted(sys.modules))"
    modules = seconds("-c", loaded, "compare", tmp_path / "runs" / "few")[1].splitlines()[-1]
    for name in ("torch", "scipy", "matplotlib", "sklearn", "pandas"):
        assert f"'{name}'" not in modules
    assert "'polars'" in modules
