"""Page of a comparison, built of the objects that the terminal's tables are built of."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from experiments.compare.compared_runs import ComparedRuns
from experiments.compare.comparison_report import Compared, heading
from experiments.compare.groups import grouped
from experiments.compare.learning_curve import learning_curves_of
from experiments.compare.load_runs import LeftOut
from experiments.compare.pair_report import pair_sheet
from experiments.compare.report import html_elements as html
from experiments.compare.report.question import answer, facts_of, question
from experiments.compare.seed_curves import Curve, read_curves
from experiments.compare.slice_report import Sliced
from experiments.compare.table_formats import Sheet, listed, number
from experiments.terminal import escaped

if TYPE_CHECKING:
    from experiments.compare.report.report_figures import Figures

STYLE = Path(__file__).with_name("report.css")
MOST_PAIRED = 10
"""Groups of which every pair is shown without ``--pairs``: 45 pairs."""
MOST_READ = 200
"""Runs of which the logged values are read: TensorBoard's reader takes 20 to 100 ms for each."""
MEMORY = "train/memory_mib"
FLOPS = (
    "FLOPs: of a forward pass of one row of the largest size, two for a multiply-add, without elementwise operations."
)


def html_report(compared: ComparedRuns, slices: Sequence[Sliced], command: Sequence[str]) -> str:
    """Returns a page with a section for each block of comparable groups, and above several data sets their ranks.

    Figures need matplotlib; without it the page says so.

    Args:
        compared: The compared runs.
        slices: Slices of each block, or none.
        command: Words of the command that compares.
    """
    figures = None
    if find_spec("matplotlib") is not None:
        from experiments.compare.report.report_figures import Figures

        figures = Figures()
    names = list(dict.fromkeys(block.data for block, _ in compared.best_first))
    title = f"Comparison of runs on {listed(names)}" if names else "Comparison of runs"
    body = [html.heading(1, title)]
    if figures is None:
        body.append(html.text("p", "No figures: they need matplotlib; pip install '.[figures]' in the checkout."))
    if len(compared.best_first) > 1:
        links = [
            html.element("li", html.text("a", heading(block, number), href=f"#table-{number}"))
            for number, (block, _) in enumerate(compared.best_first, start=1)
        ]
        body.append(html.element("nav", html.element("ul", *links), aria_label="Tables"))
    if (together := compared.data_sets) is not None:
        drawn = figures.of_data_sets(together) if figures else ()
        body.append(_section(html.heading(2, "All data sets"), html.table(together.sheet()), *drawn))
    for index in range(len(compared.best_first)):
        body.append(_block(compared, index, slices[index] if slices else None, figures))
    body.append(_this_comparison(compared.left_out, command))
    return escaped(html.document(title, STYLE.read_text(), body))


def _block(compared: ComparedRuns, index: int, slices: Sliced | None, figures: "Figures | None") -> str:
    """Returns the section of a block of comparable groups."""
    block, standings = compared.best_first[index]
    runs = sum(len(each.scores) for each in standings)
    read = cache(read_curves) if runs <= MOST_READ else _without_curves
    drawn = list(figures.of_groups(block, standings, read)) if figures else []
    parts = [html.heading(2, question(block, standings), f"table-{index + 1}")]
    parts.append(html.text("p", answer(block, standings, compared.margin), class_="answer"))
    parts += [html.facts(facts_of(block, standings)), *drawn[:1]]
    sheet = compared.group_sheets[index]
    parts += [html.heading(3, "Groups"), html.table(_some_columns(sheet, sheet.parts[0]))]
    if checks := compared.checks_of_blocks[index]:
        parts += [html.heading(3, "Checks of method"), html.items(line.removeprefix("check: ") for line in checks)]
    parts += _pairs(compared, index)
    if slices is not None:
        parts += [html.heading(3, f"By {slices.content['by']}"), *map(html.table, slices.sheets)]
        parts += figures.of_slices(slices) if figures else ()
    scores = [score for each in standings for score in each.scores]
    if curves := learning_curves_of(scores, block.metric):
        drawn_curves = [figures.of_learning_curves(curves)] if figures else []
        answers = html.items(f"W{curve.answer()[1:]}" for curve in curves)
        parts += [html.heading(3, "Learning curve over data"), *drawn_curves, answers]
    parts += [html.heading(3, "Figures"), *drawn[1:]] if drawn[1:] else []
    if runs > MOST_READ:
        line = f"No curves of training: of {runs:,} runs they take long to read; --where takes up to {MOST_READ}."
        parts.append(html.text("p", line))
    parts += [html.heading(3, "Cost"), html.table(_costs(compared.blocks[index], sheet, read))]
    settings = compared.changes()[index]
    summary = f"{len(settings.rows):,} settings that differ"
    parts += [html.heading(3, "Settings"), html.details(summary, len(settings.rows), html.table(settings))]
    parts += [html.heading(3, "Runs"), *_runs(compared.blocks[index])]
    return _section(*parts)


def _pairs(compared: ComparedRuns, index: int) -> list[str]:
    """Returns the table of every pair, or how to get it for many groups; none for two groups or fewer."""
    count = len(compared.best_first[index][1])
    if count < 3 and not compared.shows_pairs:  # the table of groups has the one pair
        return []
    title = html.heading(3, "Every pair of groups")
    if count > MOST_PAIRED and not compared.shows_pairs:
        number = f"{count * (count - 1) // 2:,}"
        return [
            title,
            html.text("p", f"The table of groups compares each with the best; --pairs adds all {number} pairs."),
        ]
    sheet = pair_sheet(compared.pairs[index], "Each group against each better one", (), compared.margin)
    return [title, html.table(sheet)]


def _costs(compared: Compared, sheet: Sheet, read: Callable[[Path], dict[str, Curve]]) -> Sheet:
    """Adds to the columns on runs and their cost the seconds of all runs, and peak memory where runs have logged it."""
    rows = []
    cells = iter(_some_columns(sheet, sheet.parts[1]).rows)
    for standing in compared[1]:
        logged = [read(score.run.path).get(MEMORY, {}).values() for score in standing.scores]
        peaks = [max(value for value, _ in values) for values in logged if values]
        total = f"{sum(score.run.seconds for score in standing.scores):,.1f}"
        rows.append([*next(cells), total, f"{fmean(peaks):,.0f}" if peaks else "–"])
        if standing.ensemble is not None:
            rows.append([*next(cells), "–", "–"])
    columns = [*(sheet.columns[index] for index in sheet.parts[1]), "seconds of all runs", "peak memory, MiB"]
    notes = ["Parameters: those that are trained. Seconds: mean over runs."]
    if any(standing.flops is not None for standing in compared[1]):
        notes.append(FLOPS)
    if all(row[-1] == "–" for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    else:
        notes.append("Peak memory: of the process on a CPU, libraries too; allocated on a CUDA device; mean over runs.")
    texts = [position for position, index in enumerate(sheet.parts[1]) if index in sheet.texts]
    return Sheet("Runs of each group, and what training cost", columns, rows, notes, texts)


def _some_columns(sheet: Sheet, columns: Sequence[int]) -> Sheet:
    """Returns a sheet with some of its columns, such as a terminal too narrow for all of them shows."""
    rows = [[row[index] for index in columns] for row in sheet.rows]
    texts = [position for position, index in enumerate(columns) if index in sheet.texts]
    return replace(sheet, columns=[sheet.columns[index] for index in columns], rows=rows, texts=texts)


def _runs(compared: Compared) -> list[str]:
    """Returns a table of the runs, and the commands that made them, each once."""
    block, standings = compared
    scores = [(standing.group.label, score) for standing in standings for score in standing.scores]
    columns = ["run", "group", block.metric, "seconds", "commit", "device"]
    rows = [
        [score.run.name, label, number(score.value), f"{score.run.seconds:.1f}"]
        + [score.run.identity[name].replace("None", "").strip() or "–" for name in ("commits", "devices")]
        for label, score in scores
    ]
    runs = html.table(Sheet("Runs, the best of each group first", columns, rows, texts=(0, 1, 4, 5)))
    entries = []
    for alike in grouped([score.run for _, score in scores], lambda run: run.command):
        names = listed([run.name for run in alike])
        command = html.text("code", alike[0].command) if alike[0].command else "no command is in the record"
        entries.append(html.element("li", html.text("span", f"{names}: "), command))
    commands = html.element("ul", *entries, class_="commands")
    return [
        html.details(f"{len(rows):,} run{'s' * (len(rows) > 1)}", len(rows), runs),
        html.details("Commands that made them", len(entries), commands),
    ]


def _this_comparison(left: Sequence[LeftOut], command: Sequence[str]) -> str:
    parts = [html.heading(2, "This comparison"), html.element("p", html.text("code", shlex.join(command)))]
    if left:
        parts.append(html.heading(3, f"{len(left):,} run{'s' * (len(left) > 1)} left out"))
        parts.append(html.items(f"{run.path}: {run.reason}" for run in left))
    parts.append(html.text("p", f"Written by evenhand {version('evenhand')}.", class_="notes"))
    return _section(*parts)


def _section(*parts: str) -> str:
    return html.element("section", "\n".join(parts))


def _without_curves(run: Path) -> dict[str, Curve]:
    return {}
