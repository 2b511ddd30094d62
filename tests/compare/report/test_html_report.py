"""``evenhand compare --html``: one page that needs nothing else, with the numbers of the terminal's tables."""

import json
import re
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy
import pytest
from browser import keep_screenshot, resize
from compared_groups import Output, group
from handmade_runs import record_run
from page_reader import Page
from scipy import stats
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from experiments.__main__ import main
from experiments.compare import comparison_figures
from experiments.compare.report import html_report
from experiments.compare.report.report_figures import Figures

HOSTILE = "<script>alert('1')</script>&\"\x1b"
NUMBER = re.compile(r"(?<![\w.])[-+]?\.?\d[\d.,]*(?<![.,])")

Write = Callable[..., tuple[Page, str]]


@pytest.fixture
def write(tmp_path: Path, compare_output: Output) -> Write:
    """Runs ``compare --html``; returns the page and what the terminal shows."""

    def run(*words: object) -> tuple[Page, str]:
        shown = compare_output(*words, "--html", tmp_path / "report.html")
        return Page(tmp_path / "report.html"), shown

    return run


def log(run: Path, values: dict[str, list[float]]) -> None:
    """Logs values at steps 10, 20, ... as a training does."""
    writer = EventFileWriter(str(run))
    for tag, logged in values.items():
        for index, value in enumerate(logged, start=1):
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
            writer.add_event(Event(step=10 * index, wall_time=0, summary=summary))
    writer.close()


def three_groups(folder: Path) -> list[Path]:
    """Two networks and a baseline, of which the first is far better."""
    runs = group(
        folder, 3.0, 4, "LitCNN", command="evenhand fit --model LitCNN", settings={"model.lr": 0.1}, flops=9_876
    )
    runs += group(folder, 1.0, 4, "LitMLP", command="evenhand fit --model LitMLP")
    return runs + group(folder, 0.8, 1, "logistic", parameters=0, deterministic=True)


def test_the_page_has_every_number_of_the_terminal_and_needs_nothing_else(tmp_path: Path, write: Write) -> None:
    for seed, run in enumerate(three_groups(tmp_path / "runs" / "a")[:8]):
        log(run, {"val/accuracy": [0.5, 0.6 + seed / 100], "train/memory_mib": [100.0 + seed, 120.0 + seed]})
    page, shown = write(tmp_path / "runs", "--markdown", tmp_path / "table.md")
    lines = [line.strip("| ") for line in (tmp_path / "table.md").read_text().splitlines() if line.startswith("| ")]
    cells = {cell.strip() for line in (lines[0], *lines[2:]) for cell in line.split("|")}
    assert {"FLOPs", "9.88k"} < cells
    assert len(cells) > 30
    assert cells - {*page.of("td"), *page.of("th"), ""} == set()
    assert len(numbers := NUMBER.findall(shown)) > 40
    assert [number for number in numbers if number not in page.text] == []
    for line in shown.splitlines():
        if line.endswith(".") or line.startswith("check: "):  # notes below the table, and checks of method
            assert line.removeprefix("check: ") in page.text
    links = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")]
    assert [link for link in links if not str(link).startswith("#")] == []
    assert not re.search(r"https?://|@import|url\((?!#)", page.source)
    assert {"script", "link", "img", "iframe"} & {tag for tag, _ in page.tags} == set()
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len({*identifiers}) == len(identifiers)
    assert page.of("h2") == ["Which of 3 groups has the highest accuracy on Blobs?", "This comparison"]
    (answer,) = [text for text in page.of("p") if "has the best mean" in text]
    assert answer.startswith("LitCNN has the best mean accuracy, ")
    assert answer.endswith(" Worse: LitMLP, logistic.")
    assert any(text.startswith("logistic, 0.") for text in page.of("dd"))  # the floor
    assert {
        "evenhand fit --model LitCNN",
        f"evenhand compare {tmp_path / 'runs'} --markdown {tmp_path / 'table.md'} --html {tmp_path / 'report.html'}",
    } < {*page.of("code")}
    assert any(text.startswith("Validation in training: mean") for text in page.of("figcaption"))
    assert {"122", "126"} < {*page.of("td")}  # MiB: the means of 120 to 123, rounded to even, and of 124 to 127


def test_the_page_can_be_read_with_a_screen_reader_and_is_the_same_bits_twice(tmp_path: Path, write: Write) -> None:
    three_groups(tmp_path / "runs" / "a")
    page, _ = write(tmp_path / "runs")
    assert write(tmp_path / "runs")[0].source == page.source
    assert ("html", {"lang": "en"}) in page.tags
    levels = [int(tag[1]) for tag, _ in page.tags if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    tags = [tag for tag, _ in page.tags]
    drawn = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(drawn) == tags.count("figure") == tags.count("figcaption") == 3  # means, reliability, costs
    assert all(each["role"] == "img" and each["aria-label"] for each in drawn)
    assert tags.count("table") == tags.count("caption") >= 5
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    assert [each for each in page.tags if each[0] == "div" and "scroll" in str(each[1].get("class"))
            and each[1].get("tabindex") != "0"] == []  # fmt: skip


def test_every_pair_is_in_the_page_whatever_the_terminal_shows(
    tmp_path: Path, write: Write, compare_json: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    three_groups(tmp_path / "runs" / "a")
    page, _ = write(tmp_path / "runs", "--margin", "0.05")
    pairs = compare_json(tmp_path / "runs", "--pairs", "--margin", "0.05")["blocks"][0]["pairs"]
    assert len(pairs) == 3
    for pair in pairs:
        assert f"{pair['difference']:.4f}" in page.of("td")
        assert f"{pair['right_to_wrong']:,.1f}" in page.of("td")
    assert len(page.of("h3")) == len({*page.of("h3")})
    monkeypatch.setattr(html_report, "find_spec", lambda name: None)
    again, shown = write(tmp_path / "runs", "--pairs")
    assert any(text.startswith("No figures: they need matplotlib") for text in again.of("p"))
    assert "svg" not in [tag for tag, _ in again.tags]
    assert "right to wrong" in shown
    assert "Every pair of groups" in again.of("h3")
    assert "sd" in again.of("th")  # the table of groups


def test_names_are_escaped(tmp_path: Path, write: Write) -> None:
    names = {"classes": [f"{HOSTILE}{index}" for index in range(3)]}
    for model in (HOSTILE, "_$\\frac$"):
        for run in group(
            tmp_path / "runs" / "<b>&amp;", 1.0, 2, model, name=f"<i>{len(model)}", data=HOSTILE, command=HOSTILE
        ):
            (run / "inspection.json").write_text(json.dumps(names))
    page, _ = write(tmp_path / "runs", "--by", "target")
    assert {"script", "b", "i"} & {tag for tag, _ in page.tags} == set()
    assert "\x1b" not in page.source
    escaped = HOSTILE.replace("\x1b", "\\x1b")
    for tag in ("th", "code", "td", "text"):  # groups, commands, classes, and labels of figures
        assert any(escaped in text for text in page.of(tag)), tag
    assert any("<b>&amp;/<i>" in text for text in page.of("th"))  # runs, whose folders are named so


def test_slices_are_in_the_page_below_the_groups(tmp_path: Path, write: Write) -> None:
    three_groups(tmp_path / "runs" / "a")
    page, shown = write(tmp_path / "runs", "--by", "target")
    assert [number for number in NUMBER.findall(shown) if number not in page.text] == []
    assert "By target" in page.of("h3")
    assert "Groups" in page.of("h3")
    assert sum("of its classes" in text or text.startswith("recall of ") for text in page.of("figcaption")) == 3


def test_a_path_that_cannot_be_written_is_one_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    group(tmp_path / "runs" / "a", 1.0, 1)
    (tmp_path / "file").write_text("")
    for option in ("--html", "--markdown", "--latex"):
        for path in (tmp_path / "file" / "report", tmp_path):
            with pytest.raises(SystemExit) as stopped:
                main(["compare", str(tmp_path / "runs"), option, str(path)])
            assert stopped.value.code == 2
            message = capfd.readouterr().err.strip()
            assert message.startswith("error: ")
            assert len(message.splitlines()) == 1
            assert str(path) in message
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "file"}


def test_tables_are_written_as_markdown_and_latex(tmp_path: Path, compare_output: Output) -> None:
    settings = {"model.a_b": "50 % & more #1 $x$ ~^\\ {}"}
    group(tmp_path / "runs" / "a", 0.5, 2, "[LitMLP]", settings=settings)
    group(tmp_path / "runs" / "a", 3.0, 2, "[LitMLP]", name="b", settings={"model.a_b": "x|<b>"})
    files = ("--markdown", tmp_path / "table.md", "--latex", tmp_path / "table.tex")
    compare_output(tmp_path / "runs", *files)
    assert (tmp_path / "table.md").read_text() == compare_output(tmp_path / "runs", "--format", "markdown")[:-1]
    assert "| [LitMLP] a_b=x\\|\\<b> | 2 |" in (tmp_path / "table.md").read_text()
    latex = (tmp_path / "table.tex").read_text()
    assert "50 \\% \\& more \\#1 \\$x\\$ \\textasciitilde{}\\textasciicircum{}\\textbackslash{} \\{\\}" in latex
    assert "a\\_b=x|\\textless{}b\\textgreater{}" in latex
    body = latex.partition("\\midrule\n")[2].partition("\\bottomrule")[0].splitlines()
    assert len(body) == 2
    assert all(line.startswith("{}[LitMLP]") and line.endswith("\\\\") for line in body)
    assert latex.count("\\toprule") == latex.count("\\bottomrule") == 1


NOISE = {"LitCNN": 1.0, "LitMLP": 2.0, "LitRNN": 3.0}


def data_sets(folder: Path, count: int) -> None:
    """Three models on several data sets, on the last of which the order is another one; a lower error is better."""
    generator = numpy.random.default_rng(0)
    target = generator.normal(size=100)
    for index in range(count):
        order = {**NOISE, "LitCNN": 3.0, "LitRNN": 1.0} if index == count - 1 else NOISE
        for model, noise in order.items():
            record_run(
                folder / f"set{index}" / model,
                target,
                target + noise * generator.normal(size=100),
                "regression",
                model=model,
                data=f"Set{index}",
                fingerprints={"data": f"data {index}", "split": "one"},
            )


def test_data_sets_are_ranked_with_the_critical_difference_of_scipy(
    tmp_path: Path, write: Write, compare_json: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_sets(tmp_path / "runs", 6)
    monkeypatch.setattr(Figures, "of_groups", lambda *_: iter(()))  # other tests draw them
    monkeypatch.setattr(comparison_figures, "draw_costs", lambda *_: None)
    page, _ = write(tmp_path / "runs", "--latex", tmp_path / "table.tex", "--figures", tmp_path / "figures")
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"ranks-data-sets.png", "ranks-data-sets.svg"}
    blocks = compare_json(tmp_path / "runs")["blocks"]
    means = [[next(each["mean"] for each in block["groups"] if each["group"] == model) for model in NOISE]
             for block in blocks]  # fmt: skip
    ranks = stats.rankdata(means, axis=1).mean(axis=0)
    quantile = stats.studentized_range.ppf(0.95, 3, numpy.inf) / numpy.sqrt(2)
    apart = quantile * numpy.sqrt(3 * 4 / (6 * 6))
    assert apart == pytest.approx(2.343 * 0.57735, abs=1e-3)  # by hand, with table 5(a) of Demšar (2006)
    assert f"Average ranks that are {apart:.2f} or more apart differ" in page.text
    assert f"critical difference {apart:.2f}" in page.of("text")
    table = (tmp_path / "table.tex").read_text().partition("\\midrule\n")[2].partition("\\bottomrule")[0].splitlines()
    order = numpy.argsort(ranks, kind="stable")
    assert [line.rpartition("& ")[2] for line in table] == [f"{ranks[index]:.2f} \\\\" for index in order]
    assert [line.partition(" &")[0] for line in table] == [[*NOISE][index] for index in order]
    for index in range(3):
        assert f"{means[0][index]:.4f}" in table[list(order).index(index)]
    assert page.of("h2")[0] == "All data sets"
    assert len(page.of("h2")) == 1 + 6 + 1
    assert [text for tag, text in page.texts if tag == "a"][1].startswith("2. Set1: rmse, lower is better")


def test_few_data_sets_have_ranks_and_the_reason_for_no_critical_difference(tmp_path: Path, write: Write) -> None:
    data_sets(tmp_path / "runs", 2)
    shutil.copytree(tmp_path / "runs" / "set1" / "LitCNN", tmp_path / "runs" / "set1" / "other")
    record = tmp_path / "runs" / "set1" / "other" / "record.json"
    record.write_text(record.read_text().replace("LitCNN", "LitWide"))
    page, _ = write(tmp_path / "runs")
    assert f"{stats.binomtest(2, 2).pvalue:.3f}" == "0.500"
    assert "6 data sets are enough for one. With 2," in page.text
    assert "has p = .500 by a sign test" in page.text
    assert "critical difference" not in " ".join(page.of("text"))
    assert page.of("td").count("2.00") == 3  # average ranks: 1 and 3, twice 2, 3 and 1
    assert "Not on every data set, or undefined: LitWide." in page.text


def test_data_sets_without_common_groups_have_no_ranks(tmp_path: Path, compare_output: Output) -> None:
    data_sets(tmp_path / "runs", 1)
    group(tmp_path / "runs" / "a", 1.0, 1, "LitOther")
    compare_output(tmp_path / "runs", "--markdown", tmp_path / "table.md")
    first = (tmp_path / "table.md").read_text().partition("\n\n**")[0]
    assert "No average ranks: fewer than two groups" in first
    assert re.search(r"\| LitOther \| – \| 0\.\d{4} \| – \|", first)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_browser_shows_the_page_at_the_width_of_a_phone(tmp_path: Path, write: Write, browser: Any) -> None:
    data_sets(tmp_path / "runs", 6)
    settings = {"model.description": HOSTILE + "a" * 90}
    for model, skill in (("LitTransformer", 2.5), ("LitMLP", 1.0)):
        group(tmp_path / "runs" / "classes", skill, 4, model, settings=settings)
    write(tmp_path / "runs", "--by", "target")
    for width, height in {1280: 900, 390: 844}.items():
        resize(browser, width, height)
        browser.get(f"file://{tmp_path}/report.html")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        outside = "e => !e.closest('.scroll') && e.getBoundingClientRect().right > innerWidth + 1"
        assert browser.execute_script(f"return [...document.querySelectorAll('main *')].filter({outside}).length") == 0
        assert browser.execute_script("return document.querySelectorAll('svg').length") > 12
        keep_screenshot(browser, f"report-{width}", whole=True)
    for scheme in ("dark", "light"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        paper, ink = (
            sum(
                map(
                    int,
                    re.findall(r"\d+", browser.execute_script(f"return getComputedStyle(document.body).{name}"))[:3],
                )
            )
            for name in ("backgroundColor", "color")
        )
        assert (paper < ink) == (scheme == "dark")
    assert browser.get_log("browser") == []  # nothing is blocked, and nothing fails
