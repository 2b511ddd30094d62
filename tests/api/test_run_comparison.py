"""``evenhand.compare``: the numbers of the command in frames, and tables for a notebook."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars
import pytest
from compared_groups import group
from handmade_runs import record_run
from paths import REPOSITORY

import evenhand
from evenhand import Run
from experiments.terminal import escaped
from lit_models import ConfigError


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Returns the folder of three groups: two of the same rows, and one of others with a name that is HTML."""
    group(tmp_path / "good", 2.0, 4, name="good", settings={"model.dropout": 0.1})
    group(tmp_path / "bad", 0.2, 4, name="bad", settings={"model.dropout": 0.5})
    other = record_run(tmp_path / "other" / "run", [1.0, 2.0] * 4, [1.5, 2.5] * 4, task="regression", data="<b>&\x1b")
    record_run(tmp_path / "killed" / "run", [0] * 4, [[1.0, 0, 0]] * 4, status="diverged")
    assert other.is_dir()
    return tmp_path


def test_the_frames_have_what_the_command_prints(runs: Path, compare_output: Callable[..., str]) -> None:
    compared = evenhand.compare(runs)
    printed = list(csv.DictReader(io.StringIO(compare_output(runs, "--format", "csv"))))
    assert [
        {name: escaped(str(value)) for name, value in row.items() if value is not None}
        for row in compared.frame.to_dicts()
    ] == [{name: value for name, value in row.items() if value} for row in printed]
    content = json.loads(compare_output(runs, "--format", "json"))
    assert compared.left_out.to_dicts() == content["left_out"]
    assert "diverged" in compared.left_out["reason"][0]
    assert compared.changes[0].to_dicts()[0]["setting"] == "model.dropout"
    assert [len(frame) for frame in compared.changes] == [2, 1]


def test_runs_settings_and_order_are_chosen(runs: Path) -> None:
    assert evenhand.compare(runs, where={"model.dropout": 0.5}).frame["verdict"].to_list() == [
        "nothing to compare with"
    ]
    few = [Run(path) for path in sorted((runs / "good").iterdir())[:2]]
    assert evenhand.compare(few, str(runs / "bad"), sort="n").frame["n"].to_list() == [2, 4]
    assert evenhand.compare(runs, metric="log_loss").frame["metric"].unique().to_list() == ["log_loss"]


def test_options_are_those_of_the_command(
    runs: Path, compare_output: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    page = tmp_path_factory.mktemp("reports") / "report.html"
    for options, words in (
        ({"ensemble": True}, ["--ensemble"]),
        ({"margin": 0.05, "metric": "log_loss"}, ["--margin", "0.05", "--metric", "log_loss"]),
        ({"pairs": True, "where": {"model.dropout": 0.5}}, ["--where", "model.dropout=0.5", "--pairs"]),
    ):
        compared = evenhand.compare(runs, **options)
        printed = csv.DictReader(io.StringIO(compare_output(runs, "--format", "csv", *words)))
        assert compared.frame.columns == printed.fieldnames
        assert len(compared.frame) == len([*printed])
        assert compared.write_html(page) == page
        written = page.read_text()
        compare_output(runs, *words, "--html", page)
        assert written == page.read_text()


def test_slices_are_those_of_the_command(runs: Path, compare_output: Callable[..., str]) -> None:
    found = evenhand.compare(runs / "good", runs / "bad").by("target")
    printed = [
        *csv.DictReader(io.StringIO(compare_output(runs / "good", runs / "bad", "--by", "target", "--format", "csv")))
    ]
    assert found.columns == [*printed[0]]
    recall = [float(row["recall"]) for row in printed]
    assert found["recall"].to_list() == pytest.approx(recall)
    with pytest.raises(ConfigError, match="--by reads the data again"):
        evenhand.compare(runs / "good").by("nowhere")


def test_a_notebook_shows_tables_with_names_escaped(runs: Path) -> None:
    compared = evenhand.compare(runs)
    html = compared._repr_html_()
    assert "&lt;b&gt;&amp;\\x1b" in html
    assert "<b>" not in html
    assert "\x1b" not in html
    assert html.count("<table>") == html.count("</table>") == 3
    assert "1 run left out" in html
    for sheet in compared.compared.sheets():
        assert all(f">{cell}</td>" in html for row in sheet.rows for cell in row if cell.isascii() and "<" not in cell)
    assert "\x1b" not in repr(compared)
    assert "| run | reason |" in repr(compared)


def test_misuse_is_one_sentence(runs: Path) -> None:
    for arguments, options, sentence in (
        ([], {}, "there is nothing to compare; give runs, or folders of runs"),
        ([[]], {}, "there is nothing to compare"),
        ([runs / "nowhere"], {}, "there is no folder"),
        ([runs], {"margin": 0}, "margin is 0; it is a difference of the metric above 0"),
        ([runs], {"ensemble": True, "pairs": True}, "ensemble and pairs are two tables"),
        ([runs], {"sort": "speed"}, "sort is 'speed', and it is one of metric, label"),
        ([runs], {"metric": "speed"}, "speed is not known for these runs"),
        ([runs], {"where": {"model.depth": 3}}, "no run has a setting model.depth"),
    ):
        with pytest.raises(ConfigError, match=sentence) as raised:
            evenhand.compare(*arguments, **options)
        assert "\n" not in str(raised.value)


def test_comparing_needs_no_torch(runs: Path) -> None:
    code = f"import sys, evenhand; repr(evenhand.compare({str(runs)!r})); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == 0


def test_a_run_without_a_test_has_the_metrics_of_its_validation(tmp_path: Path) -> None:
    run = Run(record_run(tmp_path / "a" / "b", [0], [0.5], metrics=None, validation={"loss": 0.25}))
    assert run.metrics == {"loss": 0.25}
    assert isinstance(run.predictions, polars.DataFrame)
