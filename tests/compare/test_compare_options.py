"""Options of ``evenhand compare``: which runs, in which order, in which format."""

import csv
import io
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from compared_groups import Output, group
from paths import REPOSITORY

from experiments.__main__ import main


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str]) -> Output:
    """Runs a command that must end with exit code 2; returns its error message of one sentence."""

    def run(*words: object) -> str:
        with pytest.raises(SystemExit) as stopped:
            main(["compare", *map(str, words)])
        assert stopped.value.code == 2
        message = capfd.readouterr().err.strip()
        assert message.startswith("error: ")
        assert len(message.splitlines()) == 1
        return message

    return run


def test_where_takes_the_runs_that_are_set_so(tmp_path: Path, compare_json: Any, refused: Output) -> None:
    for dropout in (0.1, 0.5):
        settings = {"model.dropout": dropout, "model.hidden": "[8, 8]"}
        group(tmp_path / "a", 1.0 + dropout, 2, name=str(dropout), settings=settings)

    def kept(*words: str) -> int:
        return sum(group["n"] for group in compare_json(tmp_path, *words)["blocks"][0]["groups"])

    assert kept("--where", "model.dropout=0.10") == 2
    assert kept("--where", "model.hidden=[8,8]") == 4
    assert kept("--where", "model.dropout=0.5", "--where", "seed=1") == 1
    assert "model.dropout is 0.1, 0.5" in refused(tmp_path, "--where", "model.dropout=0.3")
    assert "nearest: model.dropout" in refused(tmp_path, "--where", "model.dropuot=0.1")
    assert "NAME=VALUE" in refused(tmp_path, "--where", "model.dropout")


@pytest.mark.parametrize(
    ("condition", "seeds"),
    [
        ("trainer.limit_train_batches=1", [0]),  # one batch
        ("trainer.limit_train_batches=1.0", [1]),  # all batches
        ("data.target=1", [0]),
        ("data.target=1.0", [1]),
        ("data.drop=b", [0]),
        ("data.drop=a.b", [1]),
        ("data.text=a b", [0]),
        ("data.text=ab", [1]),
        ("model.loss=torch.nn.MSELoss", [0]),
        ("model.loss=mine.MSELoss", [1]),
        ("model.loss.class_path=mine.MSELoss", [1]),
        ("model.loss=MSELoss", [0, 1]),
    ],
)
def test_where_takes_no_similar_value(tmp_path: Path, compare_json: Any, condition: str, seeds: list[int]) -> None:
    options: tuple[dict[str, Any], ...] = (
        {"trainer.limit_train_batches": 1, "data.target": "1", "data.drop": "b", "data.text": "a b"},
        {"trainer.limit_train_batches": 1.0, "data.target": "1.0", "data.drop": "a.b", "data.text": "ab"},
    )
    options[1]["model.loss.class_path"] = "mine.MSELoss"
    for seed, settings in enumerate(options):
        (run,) = group(tmp_path, 1.0, 1, name=f"run{seed}", settings={"model.loss": "MSELoss"} | settings)
        record = json.loads((run / "record.json").read_text())
        (run / "record.json").write_text(json.dumps(record | {"seed": seed}))
    found = compare_json(tmp_path, "--where", condition)["blocks"][0]["groups"]
    assert sorted(run["run"][-3] for each in found for run in each["runs"]) == [str(seed) for seed in seeds]


def test_what_changed_shows_only_settings_that_differ(tmp_path: Path, compare_output: Output) -> None:
    for lr in (0.1, 0.01):
        group(tmp_path / "a", 1.0 + lr, 3, name=str(lr), settings={"model.lr": lr, "model.width": 8})
    lines = compare_output(tmp_path, "--what-changed", "--format", "markdown").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    assert sorted(rows[0]) == ["LitMLP lr=0.01", "LitMLP lr=0.1", "setting"]
    assert [row[0] for row in rows[2:]] == ["model.lr", "seed"]
    assert dict(zip(rows[0], rows[2], strict=True)) == {
        "setting": "model.lr",
        "LitMLP lr=0.1": "0.1",
        "LitMLP lr=0.01": "0.01",
    }
    assert rows[3][1:] == ["0, 1, 2"] * 2


def test_sorting(tmp_path: Path, compare_json: Any) -> None:
    for index, (skill, parameters) in enumerate([(1.0, 30), (3.0, 20), (2.0, 10)]):
        group(tmp_path / "a", skill, 2, f"Lit{'CAB'[index]}", parameters=parameters)

    def order(by: str) -> str:
        return "".join(group["group"][-1] for group in compare_json(tmp_path, "--sort", by)["blocks"][0]["groups"])

    assert (order("metric"), order("label"), order("parameters")) == ("ABC", "ABC", "BAC")


def test_every_format_says_the_same(tmp_path: Path, compare_output: Output, compare_json: Any) -> None:
    group(tmp_path / "a", 0.5, 5, "LitMLP", settings={"model.a_b": "50 % & more"})
    group(tmp_path / "a", 3.0, 5, "LitMLP", name="other", settings={"model.a_b": "x|y"})
    first, second = compare_json(tmp_path)["blocks"][0]["groups"]
    rows = [*csv.DictReader(io.StringIO(compare_output(tmp_path, "--format", "csv")))]
    assert [float(row["mean"]) for row in rows] == [first["mean"], second["mean"]]
    assert [row["verdict"] for row in rows] == ["best", "worse"]
    mean = f"{first['mean']:.4f}"
    markdown = compare_output(tmp_path, "--format", "markdown")
    assert f"| LitMLP a_b=x\\|y | 5 | {mean} |" in markdown
    latex = compare_output(tmp_path, "--format", "latex")
    assert f"LitMLP a\\_b=x|y & 5 & {mean} &" in latex
    assert "a\\_b=50 \\% \\& more" in latex
    assert latex.count("\\begin{tabular}") == latex.count("\\end{tabular}") == 1
    assert mean in compare_output(tmp_path)


def test_what_cannot_be_used_is_refused_in_a_sentence(tmp_path: Path, refused: Output) -> None:
    assert "there is no folder" in refused(tmp_path / "nowhere")
    assert "no run is at or below" in refused(tmp_path)
    group(tmp_path / "a", 1.0, 1)
    assert "accuracy, auroc_macro" in refused(tmp_path, "--metric", "rmse")
    assert "--figure" in refused(tmp_path, "--figure", "x")
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refused(tmp_path, "--figures", tmp_path / "file")


def test_figures_are_png_and_svg(tmp_path: Path, compare_output: Output) -> None:
    for model, skill in (("LitMLP", 1.0), ("LitCNN", 3.0), ("LitRNN", 2.0)):
        group(tmp_path / "runs", skill, 3, model)
    compare_output(tmp_path / "runs", "--figures", tmp_path / "figures")
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        f"{name}.{kind}" for name in ("costs", "ranks") for kind in ("png", "svg")
    }  # no curves: these runs have no TensorBoard events
    assert (tmp_path / "figures" / "ranks.png").read_bytes()[1:4] == b"PNG"


def test_figures_draw_names_as_they_are(tmp_path: Path, compare_output: Output) -> None:
    for model, skill in (("_$\\frac$", 1.0), ("LitCNN", 3.0)):
        group(tmp_path / "runs", skill, 3, model, data="$\\frac$")
    compare_output(tmp_path / "runs", "--figures", tmp_path / "figures")
    svg = (tmp_path / "figures" / "costs.svg").read_text()
    assert "$\\frac$: mean and its 95 % interval" in svg
    assert "_$\\frac$ -->" in svg


@pytest.mark.slow
def test_a_thousand_runs_are_compared_in_seconds_and_without_torch(tmp_path: Path) -> None:
    for index in range(200):
        group(tmp_path / "runs", 1.0, 5, name=str(index), settings={"model.dropout": index / 1000})
    code = "import sys; from experiments.__main__ import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    line = [sys.executable, "-c", code, "compare", str(tmp_path / "runs"), "--metric", "auroc_macro"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(line, check=True, cwd=REPOSITORY, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "200 test rows of 1 split" in done.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 5
