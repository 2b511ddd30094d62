"""``evenhand compare``: compares runs, with statistics over training seeds and test rows."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli.arguments import VerbParser, Words
from experiments.terminal import say

if TYPE_CHECKING:
    from experiments.compare.table_formats import Sheet

EPILOG = """\
Runs that differ in their seeds alone are a group. The best group is compared with every other one on the same test
rows: it is "better" if a difference this large would occur in under 5 % of repetitions with new training seeds and
new test rows if there were none, whatever the number of groups. Runs of other data, other splits or another task have
a table of their own; unfinished and broken runs are listed.

  evenhand compare runs/mnist1d
  evenhand compare runs --where model.dropout=0.1 --metric log_loss --format markdown

A published table, whose recipes evenhand sweep --paper has run, has its figures next to those of the runs:

  evenhand compare runs/paper-mnist1d --paper experiments/configs/papers/mnist1d.yaml"""

FORMATS = ("table", "markdown", "latex", "csv", "json")
SORTS = ("metric", "label", "n", "sd", "parameters", "seconds")


def parser() -> VerbParser:
    """Returns the parser of the verb."""
    made = VerbParser("compare", "Compare runs, with statistics over seeds and test rows.", EPILOG)
    made.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="runs, experiments, or their root")
    made.add_argument("--metric", metavar="NAME", help="metric to compare by; the task's own if left out")
    text = "only runs with this setting"
    made.add_argument("--where", action="append", default=[], metavar="NAME=VALUE", help=text)
    made.add_argument("--sort", choices=SORTS, default="metric", help="order of the groups, best first; metric")
    made.add_argument("--format", choices=FORMATS, default="table", help="output format; table")
    made.add_argument("--what-changed", action="store_true", help="show the settings that differ, and no metrics")
    made.add_argument("--figures", type=Path, metavar="DIR", help="draw PNG and SVG files into this folder")
    made.add_argument("--paper", type=Path, metavar="FILE", help="show a published table's figures next to the runs'")
    return made


def compare(words: Words) -> int:
    """Reads runs and prints a comparison; ``words`` are those behind ``compare``."""
    options = parser().parse_args(words)
    for option in ("metric", "where", "what_changed", "figures") if options.paper else ():
        if getattr(options, option):
            message = f"--{option.replace('_', '-')} is not for a published table; leave it or --paper out"
            parser().error(message)
    from lit_models.errors import ConfigError

    try:
        (_published if options.paper else _compare)(options)
    except ConfigError as error:
        say(f"error: {' '.join(str(error).split())}", sys.stderr)
        raise SystemExit(2) from error
    return 0


def _published(options: argparse.Namespace) -> None:
    from experiments.compare import comparison_report, published_table, table_formats
    from experiments.compare.load_runs import read_runs
    from experiments.compare.published_table_file import read_paper

    paper = read_paper(options.paper)
    runs, unread = read_runs(options.paths)
    outcomes, omitted = published_table.outcomes(paper, runs)
    omitted = unread + omitted
    rows = published_table.plain(outcomes)
    if options.format == "json":
        reasons = [{"run": str(run.path), "reason": run.reason} for run in omitted]
        print(json.dumps({"source": paper.source, "rows": rows, "left_out": reasons}, indent=2))
        return
    if options.format == "csv":
        say(table_formats.to_csv([*rows[0]], [[*row.values()] for row in rows]), end="")
    else:
        _print_sheet(published_table.sheet(paper, outcomes), options.format)
    _print_notes(comparison_report.left_out(omitted), options.format)


def _compare(options: argparse.Namespace) -> None:
    from experiments.compare import comparison, comparison_report, table_formats
    from experiments.compare.filter_runs import select
    from experiments.compare.groups import blocks_of, unlike
    from experiments.compare.load_runs import once_per_seed, read_runs
    from experiments.compare.scoring import score

    runs, omitted = read_runs(options.paths)
    scores, unscored = score(select(runs, options.where), options.metric)
    runs, repeated = once_per_seed(scores)
    omitted += unscored + repeated
    blocks = blocks_of(runs, options.metric)
    best_first = [(block, comparison.compare(block, scores)) for block in blocks]
    compared = [(block, comparison_report.in_order(standings, options.sort)) for block, standings in best_first]
    reasons = ["" if block is blocks[0] else unlike(blocks[0], block) for block in blocks]
    if options.format == "json":
        plain = [comparison_report.plain(*pair) for pair in zip(compared, reasons, strict=True)]
        left_out = [{"run": str(run.path), "reason": run.reason} for run in omitted]
        print(json.dumps({"blocks": plain, "left_out": left_out}, indent=2))
    elif options.format == "csv":
        rows = [
            {"block": number, "data": block.data, "metric": block.metric} | comparison_report.flat(standing)
            for number, (block, standings) in enumerate(compared, start=1)
            for standing in standings
        ]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        say(table_formats.to_csv(columns, [[row.get(name) for name in columns] for row in rows]), end="")
        say("\n".join(comparison_report.left_out(omitted)), sys.stderr)
    else:
        for index, (pair, reason) in enumerate(zip(compared, reasons, strict=True), start=1):
            number = index if len(blocks) > 1 else 0
            if options.what_changed:
                sheet = comparison_report.changes(pair, number)
            else:
                sheet = comparison_report.sheet(pair, number, reason)
            _print_sheet(sheet, options.format)
        _print_notes(comparison_report.left_out(omitted), options.format)
    if options.figures is not None:
        from experiments.compare.figures import draw

        for path in draw(best_first, options.figures):
            say(f"figure: {path}", sys.stderr)


def _print_sheet(sheet: "Sheet", output_format: str) -> None:
    from experiments.compare import table_formats

    if output_format == "table":
        table_formats.to_terminal(sheet)
    else:
        say(table_formats.to_markdown(sheet) if output_format == "markdown" else table_formats.to_latex(sheet))


def _print_notes(notes: list[str], output_format: str) -> None:
    file = sys.stdout if output_format == "table" else sys.stderr
    say("\n".join(notes), file, end="\n" if notes else "")
