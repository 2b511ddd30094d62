"""``evenhand compare``: compares runs, with statistics over training seeds and test rows."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.cli.arguments import VerbParser, Words, add_shared
from experiments.terminal import escaped, exit_on, say
from lit_models.errors import ConfigError

if TYPE_CHECKING:
    from experiments.compare.groups import Block
    from experiments.compare.load_runs import LeftOut
    from experiments.compare.slice_report import Sliced
    from experiments.compare.table_formats import Sheet

EPILOG = """\
Runs that differ in their seeds alone are a group. Every group is compared with the best one on the same test rows: it
is worse if a difference this large would occur in under 5 % of repetitions with new training seeds and new test rows
if there were none, whatever the number of groups. Runs of other rows, other splits or another task have a table of
their own; unfinished and broken runs are listed.

  evenhand compare runs/mnist1d
  evenhand compare runs/adult/LitMLP-seed0 --by sex
  evenhand compare runs --where model.dropout=0.1 --metric log_loss --format markdown
  evenhand compare runs/adult runs/digits --html report.html

A published table, whose recipes evenhand sweep --paper has run, has its figures next to those of the runs:

  evenhand compare runs/paper-mnist1d --paper experiments/configs/papers/mnist1d.yaml"""

FORMATS = ("table", "markdown", "latex", "csv", "json")
SORTS = ("metric", "label", "n", "sd", "parameters", "seconds")

PARSER = VerbParser("compare", "Compare runs, with statistics over seeds and test rows.", EPILOG)
add = PARSER.add_argument
add("paths", nargs="+", type=Path, metavar="PATH", help="runs, experiments, or their root")
add("--metric", metavar="NAME", help="metric to compare by; the task's own if left out")
add("--where", action="append", default=[], metavar="NAME=VALUE", help="only runs with this setting")
add("--sort", choices=SORTS, default="metric", help="order of the groups, best first; metric")
add("--format", choices=FORMATS, default="table", help="output format; table")
add("--what-changed", action="store_true", help="show the settings that differ, a row for each")
add("--ensemble", action="store_true", help="add a row for the mean of each group's predictions")
text = "slice the test rows by a column's categories or quantiles, or by target for each class, worst first"
add("--by", metavar="COLUMN", help=text)
add("--margin", type=float, metavar="M", help="show which groups are equal within this difference of the metric")
add("--pairs", action="store_true", help="show every pair of groups, with rows that flip right to wrong")
add("--figures", type=Path, metavar="DIR", help="draw PNG and SVG files into this folder")
add("--html", type=Path, metavar="FILE", help="write a page of tables, figures, costs and commands, in one file")
add("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown too")
add("--latex", type=Path, metavar="FILE", help="write the tables as LaTeX too, for the package booktabs")
add("--paper", type=Path, metavar="FILE", help="show a published table's figures next to the runs'")
add_shared(PARSER, "trust")


def compare(words: Words) -> int:
    """Reads runs and prints a comparison; ``words`` are those behind ``compare``."""
    options = PARSER.parse_args(words)
    of_runs = ("metric", "where", "what_changed", "ensemble", "by", "margin", "pairs", "figures", "html")
    for option in of_runs if options.paper else ():
        if getattr(options, option):
            message = f"--{option.replace('_', '-')} is not for a published table; leave it or --paper out"
            PARSER.error(message)
    if options.ensemble and options.what_changed:
        PARSER.error("--what-changed shows settings, and --ensemble metrics; leave one of them out")
    for option in ("what_changed", "ensemble") if options.pairs else ():
        if getattr(options, option):
            PARSER.error(f"--pairs and --{option.replace('_', '-')} are two tables; leave one of them out")
    if options.margin is not None and not 0 < options.margin < float("inf"):
        PARSER.error(f"--margin {options.margin:g} is no difference of a metric; type one above 0, as in --margin .01")
    for option in ("what_changed", "ensemble", "margin", "pairs", "figures") if options.by else ():
        if getattr(options, option):
            PARSER.error(f"--by has a table of its own; leave it or --{option.replace('_', '-')} out")
    if options.by and options.sort != "metric":
        PARSER.error("--by sorts slices by the metric, the worst first; leave --sort out")
    with exit_on(ConfigError, OSError, ImportError):
        for path in filter(None, (options.html, options.markdown, options.latex)):
            _check_writable(path)  # before many runs are read
        _published(options) if options.paper else _compare(options, ["evenhand", "compare", *words])
    return 0


def _published(options: argparse.Namespace) -> None:
    from experiments.compare import published_table
    from experiments.compare.load_runs import read_runs
    from experiments.compare.published_table_file import read_paper

    paper = read_paper(options.paper)
    runs, unread = read_runs(options.paths)
    found, left = published_table.outcomes(paper, runs)
    rows = published_table.plain(found)
    sheets = [published_table.sheet(paper, found)]
    _print(options.format, {"source": paper.source, "rows": rows}, rows, sheets, unread + left)
    _write(options, sheets)


def _compare(options: argparse.Namespace, command: Words) -> None:
    from experiments.compare.compared_runs import compare_runs, read_blocks

    if options.by and not options.html:
        blocks, _, left = read_blocks(options.paths, options.metric, options.where)
        _write(options, _slices(options, blocks, left)[1])
        return
    compared = compare_runs(
        *(options.paths, options.metric, options.where, options.sort),
        *(options.ensemble, options.margin, options.pairs),
    )
    slices: list[Sliced] = []
    if options.by:
        slices, sheets = _slices(options, [block for block, _ in compared.best_first], compared.left_out)
    else:
        sheets = compared.changes() if options.what_changed else compared.sheets()
        _print(options.format, compared.content(), compared.rows(), sheets, compared.left_out)
        for line in compared.checks() if options.format != "json" else ():
            say(line, sys.stdout if options.format == "table" else sys.stderr)
    if options.figures is not None:
        from experiments.compare.comparison_figures import draw

        for path in draw(compared.best_first, options.figures):
            say(f"figure: {path}", sys.stderr)
    if compared.data_sets is not None and not options.by and not options.what_changed:
        sheets = [compared.data_sets.sheet(), *sheets]
    _write(options, sheets)
    if options.html is not None:
        from experiments.compare.report.html_report import html_report

        _write_text(options.html, html_report(compared, slices, command))


def _slices(
    options: argparse.Namespace, blocks: "list[Block]", left: "list[LeftOut]"
) -> "tuple[list[Sliced], list[Sheet]]":
    """Prints slices of the test rows of each block, and returns them."""
    from experiments.compare.slice_report import sliced

    reports = [sliced(block, options.by, options.metric, options.trust) for block in blocks]
    rows = [row for report in reports for row in report.rows]
    sheets = [sheet for report in reports for sheet in report.sheets]
    _print(options.format, {"blocks": [report.content for report in reports]}, rows, sheets, left)
    return reports, sheets


def _write(options: argparse.Namespace, sheets: "list[Sheet]") -> None:
    """Writes the printed tables into the files of ``--markdown`` and ``--latex``."""
    from experiments.compare.table_formats import to_latex, to_markdown

    for path, form in ((options.markdown, to_markdown), (options.latex, to_latex)):
        if path is not None:
            _write_text(path, "\n".join(form(sheet) for sheet in sheets))


def _check_writable(path: Path) -> None:
    folder = next(each for each in path.absolute().parents if each.exists())
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(f"{path} cannot be written; name a file, in a folder that you may write to")


def _write_text(path: Path, text: str) -> None:
    from experiments.run.atomic_write import write_atomically

    write_atomically(path, escaped(text).encode())
    say(f"written: {path}", sys.stderr)


def _print(
    style: str, content: dict[str, Any], rows: list[dict[str, Any]], sheets: "list[Sheet]", left: "list[LeftOut]"
) -> None:
    """Prints a comparison in a format; the runs that are left out stand below a table, else on stderr."""
    from experiments.compare.table_formats import to_csv, to_latex, to_markdown, to_terminal

    if style == "json":
        omitted = [{"run": str(run.path), "reason": run.reason} for run in left]
        say(json.dumps(content | {"left_out": omitted}, indent=2))
        return
    if style == "csv":
        say(to_csv(rows), end="")
    for sheet in sheets if style != "csv" else ():
        if style == "table":
            to_terminal(sheet)
        else:
            say(to_markdown(sheet) if style == "markdown" else to_latex(sheet))
    stream = sys.stdout if style == "table" else sys.stderr
    if left:
        say(f"{len(left)} run{'s' if len(left) > 1 else ''} left out:", stream)
    for run in left:
        say(f"  {run.path}: {run.reason}", stream)
