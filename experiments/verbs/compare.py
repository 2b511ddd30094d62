"""``evenhand compare``: runs side by side, with the statistics that make a claim honest."""

import argparse
import json
import sys
from pathlib import Path
from typing import NoReturn

from experiments.terminal import escaped, say

WHAT = "Runs side by side, with the statistics that make a claim honest."

EPILOG = """
Runs that differ only in their seeds are a group. The best group is compared with every other on the same test rows:
"better" is said where a difference this large would come up in under 5 % of repetitions with new training seeds and
new test rows if there were none, whatever the number of groups. Runs of other data, other splits or another task come
in a table of their own, and those that are not finished or broken are listed. For example:

  evenhand compare runs/mnist1d
  evenhand compare runs --where model.dropout=0.1 --metric log_loss --format markdown

A published table, whose recipes evenhand sweep --paper has run, shows its figures beside ours:

  evenhand compare runs/paper-mnist1d --paper experiments/configs/papers/mnist1d.yaml
"""

FORMATS = ("table", "markdown", "latex", "csv", "json")
SORTS = ("metric", "label", "n", "sd", "parameters", "seconds")


class Parser(argparse.ArgumentParser):
    """argparse with one sentence for an error."""

    def error(self, message: str) -> NoReturn:
        """Print it and exit with 2."""
        self.exit(2, escaped(f"error: {message}; evenhand compare --help tells more\n"))


def compare(words: list[str]) -> int:
    """Read runs, and print how they compare.

    Args:
        words: The command line's, behind ``compare``.

    Raises:
        SystemExit: With code 2 for words or folders that cannot be used, after one sentence on stderr.
    """
    parser = Parser(
        "evenhand compare",
        description=WHAT,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="Runs, experiments, or their root.")
    parser.add_argument("--metric", metavar="NAME", help="The one to compare by; the task's own.")
    parser.add_argument("--where", action="append", default=[], metavar="NAME=VALUE", help="Only runs set like this.")
    parser.add_argument("--sort", choices=SORTS, default="metric", help="What orders the groups; best first.")
    parser.add_argument("--format", choices=FORMATS, default="table", help="What is printed.")
    parser.add_argument("--what-changed", action="store_true", help="Show the settings that differ, and no metrics.")
    parser.add_argument("--figures", type=Path, metavar="DIR", help="Draw PNG and SVG files into this folder.")
    parser.add_argument("--paper", type=Path, metavar="FILE", help="Show a published table's figures beside ours.")
    typed = parser.parse_args(words)
    for option in ("metric", "where", "what_changed", "figures") if typed.paper else ():
        if getattr(typed, option):
            parser.error(f"--{option.replace('_', '-')} is not for a published table; leave it or --paper out")
    from lit_models.errors import ConfigError

    try:
        (_published if typed.paper else _compare)(typed)
    except ConfigError as error:
        say(f"error: {' '.join(str(error).split())}", sys.stderr)
        raise SystemExit(2) from error
    return 0


def _published(typed: argparse.Namespace) -> None:
    from experiments.compare import comparison_report, published_table, table_formats
    from experiments.compare.load_runs import read_runs
    from experiments.compare.published_table_file import read_paper

    paper = read_paper(typed.paper)
    runs, unread = read_runs(typed.paths)
    found, left = published_table.outcomes(paper, runs)
    rows = published_table.plain(found)
    aside = comparison_report.left_out(unread + left)
    match typed.format:
        case "json":
            omitted = [{"run": str(one.path), "reason": one.reason} for one in unread + left]
            print(json.dumps({"source": paper.source, "rows": rows, "left_out": omitted}, indent=2))
            return
        case "csv":
            say(table_formats.to_csv([*rows[0]], [[*row.values()] for row in rows]), end="")
        case "table":
            table_formats.to_terminal(published_table.sheet(paper, found))
        case "markdown":
            say(table_formats.to_markdown(published_table.sheet(paper, found)))
        case "latex":
            say(table_formats.to_latex(published_table.sheet(paper, found)))
    say("\n".join(aside), sys.stdout if typed.format == "table" else sys.stderr, end="\n" if aside else "")


def _compare(typed: argparse.Namespace) -> None:
    from experiments.compare import comparison, comparison_report, table_formats
    from experiments.compare.filter_runs import select
    from experiments.compare.groups import blocks_of, unlike
    from experiments.compare.load_runs import once_per_seed, read_runs
    from experiments.compare.scoring import score

    runs, left = read_runs(typed.paths)
    scores, unscored = score(select(runs, typed.where), typed.metric)
    runs, again = once_per_seed(scores)
    left += unscored + again
    blocks = blocks_of(runs, typed.metric)
    best_first = [(block, comparison.compare(block, scores)) for block in blocks]
    compared = [(block, comparison_report.in_order(standings, typed.sort)) for block, standings in best_first]
    why = ["" if block is blocks[0] else unlike(blocks[0], block) for block in blocks]
    aside = comparison_report.left_out(left)
    if typed.format == "json":
        found = [comparison_report.plain(*pair) for pair in zip(compared, why, strict=True)]
        omitted = [{"run": str(one.path), "reason": one.reason} for one in left]
        print(json.dumps({"blocks": found, "left_out": omitted}, indent=2))
    elif typed.format == "csv":
        rows = [
            {"block": number, "data": block.data, "metric": block.metric} | comparison_report.flat(standing)
            for number, (block, standings) in enumerate(compared, start=1)
            for standing in standings
        ]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        say(table_formats.to_csv(columns, [[row.get(name) for name in columns] for row in rows]), end="")
        say("\n".join(aside), sys.stderr)
    else:
        for number, pair in enumerate(zip(compared, why, strict=True), start=1):
            at = number if len(blocks) > 1 else 0
            shown = (
                comparison_report.changes(pair[0], at)
                if typed.what_changed
                else comparison_report.sheet(pair[0], at, pair[1])
            )
            if typed.format == "table":
                table_formats.to_terminal(shown)
            else:
                say(table_formats.to_markdown(shown) if typed.format == "markdown" else table_formats.to_latex(shown))
        say("\n".join(aside), sys.stdout if typed.format == "table" else sys.stderr, end="\n" if aside else "")
    if typed.figures is not None:
        from experiments.compare.figures import draw

        for path in draw(best_first, typed.figures):
            say(f"figure: {path}", sys.stderr)
