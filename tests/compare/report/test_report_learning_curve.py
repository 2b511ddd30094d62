"""The learning curve over data in the page of ``evenhand compare --html``."""

import re
from pathlib import Path

import numpy
import pytest
from compared_groups import TARGET, Output
from handmade_runs import guesses, record_run
from page_reader import Page

from experiments.compare.compared_runs import read_blocks
from experiments.compare.comparison import compare
from experiments.compare.learning_curve import learning_curves, learning_curves_of
from experiments.compare.load_runs import read_runs
from experiments.compare.report import html_report

FRACTIONS = {0.1: 0.6, 0.2: 1.2, 0.5: 1.9, 1.0: 2.6}
HEADING = "Learning curve over data"


def runs(folder: Path, model: str = "LitMLP", seeds: int = 3, fractions: dict[float, float] = FRACTIONS, **settings):
    """Writes runs of nested fractions of the train rows, whose patience follows from their number."""
    for fraction, skill in fractions.items():
        for seed in range(seeds):
            name = "-".join([model, str(fraction), str(seed), *map(str, settings.values())])
            options = {"data.train_fraction": fraction, "trainer.callbacks.EarlyStopping.patience": int(9 / fraction)}
            record_run(
                folder / name,
                TARGET,
                guesses(numpy.random.default_rng(seed), TARGET, skill),
                model=model,
                seed=seed,
                settings=options | settings,
                rows={"train": round(1000 * fraction), "val": 200, "test": 200},
            )


def found(folder: Path):
    ((block,), scores, _) = read_blocks([folder], None, [])
    return learning_curves_of([score for standing in compare(block, scores) for score in standing.scores], block.metric)


def test_the_page_has_the_curve_with_the_answer_of_the_sweep(tmp_path: Path, compare_output: Output) -> None:
    runs(tmp_path / "a")
    compare_output(tmp_path / "a", "--html", tmp_path / "report.html")
    page = Page(tmp_path / "report.html")
    assert HEADING in page.of("h3")
    assert [caption for caption in page.of("figcaption") if "over the number of train rows" in caption]
    assert re.search(r"LitMLP \(n = 3\)", page.source)
    for run in (tmp_path / "a").iterdir():  # metrics that a sweep reads from the records
        record = (run / "record.json").read_text()
        accuracy = next(score.metrics["accuracy"] for each, score in read_blocks([run], None, [])[1].items())
        (run / "record.json").write_text(record.replace('"test/loss": 0.5', f'"test/accuracy": {accuracy}'))
    ((curve,),) = learning_curves(dict.fromkeys(read_runs([tmp_path / "a"])[0], "LitMLP"))
    assert curve.rows == [100, 200, 500, 1000]
    (line,) = [item for item in page.of("li") if item.startswith("Would more data help")]
    assert line == f"W{curve.answer()[1:]}"
    assert "100 to 1,000 train and 200 test rows" in page.text


def test_there_is_none_without_several_fractions(tmp_path: Path, compare_output: Output) -> None:
    runs(tmp_path / "a", fractions={0.5: 1.0})
    runs(tmp_path / "a", "LitCNN", fractions={1.0: 1.0})
    compare_output(tmp_path / "a", "--html", tmp_path / "report.html")
    assert HEADING not in (tmp_path / "report.html").read_text()
    assert found(tmp_path / "a") == []


def test_without_matplotlib_the_answer_is_there(
    tmp_path: Path, compare_output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs(tmp_path / "a", seeds=1)
    monkeypatch.setattr(html_report, "find_spec", lambda name: None)
    compare_output(tmp_path / "a", "--html", tmp_path / "report.html")
    page = Page(tmp_path / "report.html")
    assert page.of("figure") == []
    assert "Would more data help LitMLP? Single runs do not tell" in page.text


def test_options_that_follow_the_rows_part_no_curve_and_varied_ones_do(tmp_path: Path) -> None:
    runs(tmp_path / "a", seeds=1)
    runs(tmp_path / "a", "LitCNN", seeds=1)
    assert {curve.name: len(curve.rows) for curve in found(tmp_path / "a")} == {"LitMLP": 4, "LitCNN": 4}
    for size in (16, 32):
        runs(tmp_path / "b", seeds=1, **{"data.batch_size": size})
    names = {"LitMLP batch_size=16": 4, "LitMLP batch_size=32": 4}
    assert {curve.name: len(curve.rows) for curve in found(tmp_path / "b")} == names
    for rate in (0.1, 0.2):
        runs(tmp_path / "c", seeds=1, **{"model.lr": rate})
    assert {curve.name for curve in found(tmp_path / "c")} == {"LitMLP lr=0.1", "LitMLP lr=0.2"}


def test_baselines_have_no_curve(tmp_path: Path) -> None:
    runs(tmp_path / "a", seeds=1)
    for run in (tmp_path / "a").iterdir():
        (run / "record.json").write_text(
            (run / "record.json").read_text().replace('"parameters": 1000', '"parameters": 0')
        )
    assert found(tmp_path / "a") == []
