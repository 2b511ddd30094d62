"""``evenhand compare``: runs side by side, with the statistics that make a claim honest."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from experiments.compare.load_runs import LeftOut
    from experiments.compare.table_formats import Sheet

DESCRIPTION = "Runs side by side, with the statistics that make a claim honest."

EPILOG = """
Runs that differ only in their seeds are a group. The best group is compared with every other on the same test rows:
it is "better" where a difference this large would come up in under 5 % of repetitions with new training seeds and new
test rows if there were none, whatever the number of groups. Runs of other data, other splits or another task come in a
table of their own, and runs that are unfinished or broken are listed. For example:

  evenhand compare runs/mnist1d
  evenhand compare runs --where model.dropout=0.1 --metric log_loss --format markdown

A published table, whose recipes evenhand sweep --paper has run, shows its figures beside ours:

  evenhand compare runs/paper-mnist1d --paper experiments/configs/papers/mnist1d.yaml
"""

FORMATS = ("table", "markdown", "latex", "csv", "json")
SORTS = ("metric", "label", "n", "sd", "parameters", "seconds")


class Parser(argparse.ArgumentParser):
    """Argument parser that reports an error in one sentence."""

    def error(self, message: str) -> NoReturn:
        """Prints the message and exits with code 2."""
        self.exit(2, f"error: {message}; evenhand compare --help tells more\n")


def compare(words: list[str]) -> int:
    """Reads runs, and prints how they compare.

    Args:
        words: Command line after ``compare``.

    Raises:
        SystemExit: With code 2 and a sentence on stderr for arguments or folders that cannot be used.
    """
    parser = Parser(
        "evenhand compare",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="Runs, experiments, or their root.")
    parser.add_argument("--metric", metavar="NAME", help="Metric to compare by; the task's own by default.")
    parser.add_argument("--where", action="append", default=[], metavar="NAME=VALUE", help="Only runs set like this.")
    parser.add_argument("--sort", choices=SORTS, default="metric", help="Order of the groups; best first by default.")
    parser.add_argument("--format", choices=FORMATS, default="table", help="Format of the output.")
    parser.add_argument("--what-changed", action="store_true", help="Show the settings that differ, and no metrics.")
    parser.add_argument("--figures", type=Path, metavar="DIR", help="Draw PNG and SVG files into this folder.")
    parser.add_argument("--paper", type=Path, metavar="FILE", help="Show a published table's figures beside ours.")
    options = parser.parse_args(words)
    for option in ("metric", "where", "what_changed", "figures") if options.paper else ():
        if getattr(options, option):
            parser.error(f"--{option.replace('_', '-')} is not for a published table; leave it or --paper out")
    from lit_models.errors import ConfigError

    try:
        (_published if options.paper else _compare)(options)
    except ConfigError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(2) from error
    return 0


def _published(options: argparse.Namespace) -> None:
    from experiments.compare import published_table
    from experiments.compare.load_runs import read_runs
    from experiments.compare.published_table_file import read_paper

    paper = read_paper(options.paper)
    runs, unread = read_runs(options.paths)
    found, left = published_table.outcomes(paper, runs)
    rows = published_table.plain(found)
    sheet = published_table.sheet(paper, found)
    _print(options.format, {"source": paper.source, "rows": rows}, rows, [sheet], unread + left)


def _compare(options: argparse.Namespace) -> None:
    from experiments.compare import comparison, comparison_report
    from experiments.compare.filter_runs import select
    from experiments.compare.groups import blocks_of, unlike
    from experiments.compare.load_runs import once_per_seed, read_runs
    from experiments.compare.scoring import score

    runs, left = read_runs(options.paths)
    scores, unscored = score(select(runs, options.where), options.metric)
    runs, repeated = once_per_seed(scores)
    blocks = blocks_of(runs, options.metric)
    best_first = [(block, comparison.compare(block, scores)) for block in blocks]
    content, rows, sheets = [], [], []
    for index, (block, standings) in enumerate(best_first, start=1):
        compared = (block, sorted(standings, key=comparison_report.SORT_KEYS[options.sort]))
        number, reason = index if len(blocks) > 1 else 0, unlike(blocks[0], block) if index > 1 else ""
        content.append(comparison_report.plain(compared, reason))
        names = {"block": index, "data": block.data, "metric": block.metric}
        rows += [names | comparison_report.flat(standing) for standing in compared[1]]
        if options.what_changed:
            sheets.append(comparison_report.changes(compared, number))
        else:
            sheets.append(comparison_report.sheet(compared, number, reason))
    _print(options.format, {"blocks": content}, rows, sheets, left + unscored + repeated)
    if options.figures is not None:
        from experiments.compare.figures import draw

        for path in draw(best_first, options.figures):
            print(f"figure: {path}", file=sys.stderr)


def _print(
    style: str, content: dict[str, Any], rows: list[dict[str, Any]], sheets: "list[Sheet]", left: "list[LeftOut]"
) -> None:
    """Prints a comparison in a format; the runs that are left out stand below a table, else on stderr."""
    from experiments.compare.table_formats import to_csv, to_latex, to_markdown, to_terminal

    if style == "json":
        omitted = [{"run": str(run.path), "reason": run.reason} for run in left]
        print(json.dumps(content | {"left_out": omitted}, indent=2))
        return
    if style == "csv":
        print(to_csv(rows), end="")
    for sheet in sheets if style != "csv" else ():
        if style == "table":
            to_terminal(sheet)
        else:
            print(to_markdown(sheet) if style == "markdown" else to_latex(sheet))
    stream = sys.stdout if style == "table" else sys.stderr
    if left:
        print(f"{len(left)} run{'s' if len(left) > 1 else ''} left out:", file=stream)
    for run in left:
        print(f"  {run.path}: {run.reason}", file=stream)
