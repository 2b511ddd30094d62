"""Inspection of data as tables for a terminal."""

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from datamodules.inspection.inspection import Column, Inspection, Numbers
from datamodules.splitting.splits import PARTS

MAX_ROWS = 40
"""Of the tables of classes and columns."""


def report(inspection: Inspection) -> Group:
    """Returns an inspection for a terminal."""
    shape = " x ".join(map(str, inspection.input_shape))
    rows = ", ".join(f"{count:,} {split}" for split, count in inspection.rows.items())
    several = len(inspection.targets) > 1
    return Group(
        Text(f"{inspection.data}: {inspection.task}, {inspection.modality} rows of {shape}\nrows: {rows}"),
        *([_classes(inspection)] if inspection.classes else []),
        *(_values(f"target {name}" if several else "target", values) for name, values in inspection.targets.items()),
        _columns(inspection.columns),
        *([Text("no row is an exact copy of an earlier one")] if inspection.duplicates == 0 else []),
        *([Text(_strongest(inspection.strongest))] if inspection.rows["val"] and inspection.strongest else []),
        *(Text(f"note: {note}") for note in inspection.notes),
        *(Text(f"look: {suspicion}", style="bold yellow") for suspicion in inspection.suspicions),
        *([] if inspection.suspicions else [Text("nothing looks like a leak")]),
    )


def _strongest(scores: dict[str, float]) -> str:
    each = ", ".join(f"{name} {max(0.0, score):.1%}" for name, score in scores.items())
    return f"of the target on validation rows, one column alone explains: {each}"


def _table(*names: str) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1))
    for index, name in enumerate(names):
        table.add_column(name, justify="right" if index else "left", no_wrap=True)
    return table


def _classes(inspection: Inspection) -> Table:
    title = "class" if inspection.task != "multilabel" else "label"
    table = _table(title, *(f"{split} rows" for split in PARTS), "of train")
    for name, counts in list(inspection.classes.items())[:MAX_ROWS]:
        fraction = counts["train"] / max(1, inspection.rows["train"])
        table.add_row(Text(name), *(f"{counts[split]:,}" for split in PARTS), f"{fraction:.1%}")
    return _with_ellipsis(table, len(inspection.classes))


def _values(title: str, values: dict[str, Numbers]) -> Table:
    table = _table(title, "mean", "sd", "min", "max")
    for split, numbers in values.items():
        table.add_row(split, *map(_number, numbers.values()))
    return table


def _columns(columns: list[Column]) -> Table:
    table = _table("column", "type", "missing", "different")
    table.add_column("train rows")
    for column in columns[:MAX_ROWS]:
        train = ""
        if column.period is not None:
            train = " to ".join(column.period)
        elif column.most_frequent is not None:
            value, fraction = column.most_frequent
            train = f"{fraction:.0%} {value}"
        elif column.numbers:
            mean, sd, low, high = map(_number, column.numbers.values())
            train = f"{mean} (sd {sd}), {low} to {high}"
        counts = (f"{column.missing:,}", f"{column.different:,}")
        table.add_row(Text(column.name), column.type, *counts, Text(train))
    return _with_ellipsis(table, len(columns))


def _number(value: float) -> str:
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def _with_ellipsis(table: Table, count: int) -> Table:
    if count > MAX_ROWS:
        table.add_row(f"... {count - MAX_ROWS:,} more")
    return table
