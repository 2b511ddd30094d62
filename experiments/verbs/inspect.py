"""``evenhand inspect``: a look at the data and their split before anything is trained."""

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from datamodules.inspection.inspection import Column, Inspection, Numbers
from datamodules.inspection.inspection import inspect as look
from datamodules.splitting.splits import PARTS
from experiments.cli.entry_point import answer
from experiments.cli.lightning_cli import DataCLI
from experiments.console import Console

HELP = """usage: evenhand inspect [-c FILE] [--data CLASS] [--data.SETTING VALUE ...]

Look at data and their split before anything is trained: rows of each part, classes, columns, missing values, exact
copies, and what looks like a leak. It takes the words of fit, of which only the data's count:

  evenhand inspect --data TableData --data.path my.csv --data.target label
  evenhand inspect -c runs/my/run/config.yaml

A fit with the same words writes the same into its run, as inspection.json, and the parts' row ids as split.parquet.
evenhand fit --data.help TableData tells the settings of a data module."""

ROWS = 40
"""So many classes and columns are shown."""


def inspect(words: list[str]) -> int:
    """Print what the words' data look like; a fit with the same words writes the same to its run.

    Args:
        words: The command line's, behind ``inspect``: those of ``fit``, of which only the data's count.
    """

    if {"-h", "--help"} & {*words}:
        print(HELP)
        return 0

    def show(words: list[str], command: list[str], allowed: list[str]) -> None:
        Console().print(report(look(DataCLI(words, command, allowed).datamodule)))

    return answer(["inspect", *words], show)


def report(seen: Inspection) -> Group:
    """An inspection for a terminal."""
    shape = " x ".join(map(str, seen.input_shape))
    rows = ", ".join(f"{count:,} {part}" for part, count in seen.rows.items())
    heading = f"{seen.data}: {seen.task}, {seen.modality} rows of {shape}\nrows: {rows}"
    parts: list[Table | Text] = [Text(heading)]
    if seen.classes:
        parts.append(_classes(seen))
    for name, values in seen.targets.items():
        parts.append(_values(f"target {name}" if len(seen.targets) > 1 else "target", values))
    parts.append(_columns(seen.columns))
    if seen.duplicates == 0:
        parts.append(Text("no row is an exact copy of an earlier one"))
    parts += [Text(f"note: {note}") for note in seen.notes]
    parts += [Text(f"look: {suspicion}", style="bold yellow") for suspicion in seen.suspicions]
    if not seen.suspicions:
        parts.append(Text("nothing looks like a leak"))
    return Group(*parts)


def _table(*names: str) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1))
    for index, name in enumerate(names):
        table.add_column(name, justify="right" if index else "left", no_wrap=True)
    return table


def _classes(seen: Inspection) -> Table:
    table = _table("class" if seen.task != "multilabel" else "label", *(f"{part} rows" for part in PARTS), "of train")
    for name, counts in list(seen.classes.items())[:ROWS]:
        share = counts["train"] / max(1, seen.rows["train"])
        table.add_row(Text(name), *(f"{counts[part]:,}" for part in PARTS), f"{share:.1%}")
    return _cut(table, len(seen.classes))


def _values(title: str, values: dict[str, Numbers]) -> Table:
    table = _table(title, "mean", "sd", "min", "max")
    for part, numbers in values.items():
        table.add_row(part, *map(_number, numbers.values()))
    return table


def _columns(columns: list[Column]) -> Table:
    table = _table("column", "type", "missing", "different")
    table.add_column("train rows")
    for column in columns[:ROWS]:
        train = ""
        if column.most_frequent is not None:
            value, share = column.most_frequent
            train = f"{share:.0%} {value}"
        elif column.numbers:
            mean, sd, low, high = map(_number, column.numbers.values())
            train = f"{mean} (sd {sd}), {low} to {high}"
        counts = (f"{column.missing:,}", f"{column.different:,}")
        table.add_row(Text(column.name), column.type, *counts, Text(train))
    return _cut(table, len(columns))


def _number(value: float) -> str:
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def _cut(table: Table, count: int) -> Table:
    if count > ROWS:
        table.add_row(f"... {count - ROWS:,} more")
    return table
