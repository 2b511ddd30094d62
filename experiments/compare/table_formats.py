"""Tables as text: for a terminal, Markdown, LaTeX and CSV."""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars
from rich.box import SIMPLE_HEAD
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from experiments.console import Console
from experiments.terminal import say


@dataclass(frozen=True)
class Sheet:
    """Content of a table."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()  # sentences below the table
    texts: int = 1  # number of leading columns that are text; the others are numbers
    ragged: bool = True  # the last column is text too
    parts: Sequence[Sequence[int]] = ()  # columns of each table into which it is divided on a narrow terminal

    def is_text(self, index: int) -> bool:
        """Returns True if a column is aligned left."""
        return index < self.texts or (self.ragged and index == len(self.columns) - 1)


def to_terminal(sheet: Sheet) -> None:
    """Prints a table, in parts on a narrow terminal; at full width where the output is no terminal."""
    screen, text = Console(highlight=False), io.StringIO()
    console = screen if screen.is_terminal else Console(file=text, highlight=False)
    console.print(Text(sheet.title, style="bold"))
    whole = _table(sheet, range(len(sheet.columns)))
    too_wide = Measurement.get(console, console.options.update(max_width=10_000), whole).maximum > console.width
    for table in [_table(sheet, part) for part in sheet.parts] if too_wide and sheet.parts else [whole]:
        console.print(table)
    for note in sheet.notes:
        console.print(Text(note))
    if not screen.is_terminal:
        say("\n".join(line.rstrip() for line in text.getvalue().splitlines()))


def _table(sheet: Sheet, columns: Sequence[int]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for index in columns:
        justify: Literal["left", "right"] = "left" if sheet.is_text(index) else "right"
        table.add_column(Text(sheet.columns[index]), justify=justify, overflow="fold")
    for row in sheet.rows:
        table.add_row(*(Text(row[index]) for index in columns))
    return table


def to_markdown(sheet: Sheet) -> str:
    """Formats a table as GitHub's Markdown."""
    lines = [[_flat(cell).replace("|", "\\|") for cell in row] for row in (sheet.columns, *sheet.rows)]
    rule = ["---" if sheet.is_text(index) else "---:" for index in range(len(sheet.columns))]
    text = "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))
    return "\n\n".join([f"**{_flat(sheet.title)}**", text, *sheet.notes]) + "\n"


def to_latex(sheet: Sheet) -> str:
    """Formats a table as a LaTeX ``table`` environment, which needs the package booktabs."""
    lines = [" & ".join(map(_latex, row)) + r" \\" for row in (sheet.columns, *sheet.rows)]
    kinds = "".join("l" if sheet.is_text(index) else "r" for index in range(len(sheet.columns)))
    begin = [r"\begin{table}", r"\centering", rf"\caption{{{_latex(' '.join((sheet.title + '.', *sheet.notes)))}}}"]
    body = [rf"\begin{{tabular}}{{{kinds}}}", r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
    return "\n".join([*begin, *body, r"\end{tabular}", r"\end{table}"]) + "\n"


def to_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Formats rows as CSV, numbers at full precision; None and missing columns are empty cells."""
    return polars.DataFrame(rows, infer_schema_length=None, strict=False).write_csv()


def defined(values: Mapping[str, Any]) -> dict[str, Any]:
    """Replaces numbers that are not finite by None."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()
    }


def _latex(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$"}
    special |= {"<": r"\textless{}", ">": r"\textgreater{}", "–": "--", "−": r"$-$"}
    special |= {sign: f"\\{sign}" for sign in "&%$#_{}"}
    return "".join(special.get(sign, sign) for sign in _flat(text))


def _flat(text: str) -> str:
    return " ".join(text.split())
