"""Tables as text: for a terminal, Markdown, LaTeX and CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from experiments.console import Console
from experiments.terminal import say


@dataclass(frozen=True)
class Sheet:
    """Rows and columns to be shown.

    Args:
        title: What stands above; a line.
        columns: Headings.
        rows: A text for each column.
        notes: Sentences below.
        texts: So many of the first columns, and the last where ``ragged``, are words and not numbers.
        ragged: Whether the last column is words.
        parts: Columns of the tables that stand below each other where the whole is too wide for a terminal.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    texts: int = 1
    ragged: bool = True
    parts: Sequence[Sequence[int]] = ()

    def is_words(self, index: int) -> bool:
        """Whether a column is set flush left."""
        return index < self.texts or (self.ragged and index == len(self.columns) - 1)


def to_terminal(sheet: Sheet) -> None:
    """Print it, in parts where the terminal is too narrow; at full width where the output is no terminal."""
    screen, text = Console(highlight=False), io.StringIO()
    console = screen if screen.is_terminal else Console(file=text, width=10_000, highlight=False)
    console.print(Text(sheet.title, style="bold"))
    whole = _table(sheet, range(len(sheet.columns)))
    too_wide = Measurement.get(console, console.options.update(max_width=10_000), whole).maximum > console.width
    for table in [_table(sheet, part) for part in sheet.parts] if too_wide and sheet.parts else [whole]:
        console.print(table)
    for note in sheet.notes:
        console.print(Text(note))
    if not screen.is_terminal:
        say("\n".join(line.rstrip() for line in text.getvalue().splitlines()))


def _table(sheet: Sheet, columns: Iterable[int]) -> Table:
    columns = [*columns]
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for index in columns:
        words = sheet.is_words(index)
        table.add_column(Text(sheet.columns[index]), justify="left" if words else "right", overflow="fold")
    for row in sheet.rows:
        table.add_row(*(Text(row[index]) for index in columns))
    return table


def to_markdown(sheet: Sheet) -> str:
    """A table of GitHub's Markdown."""
    lines = [[_flat(cell).replace("|", "\\|") for cell in row] for row in (sheet.columns, *sheet.rows)]
    rule = ["---" if sheet.is_words(index) else "---:" for index in range(len(sheet.columns))]
    text = "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))
    return "\n\n".join([f"**{_flat(sheet.title)}**", text, *sheet.notes]) + "\n"


def to_latex(sheet: Sheet) -> str:
    """A ``table`` environment that needs the package booktabs."""
    lines = [" & ".join(map(_latex, row)) + r" \\" for row in (sheet.columns, *sheet.rows)]
    kinds = "".join("l" if sheet.is_words(index) else "r" for index in range(len(sheet.columns)))
    begin = [r"\begin{table}", r"\centering", rf"\caption{{{_latex(' '.join((sheet.title + '.', *sheet.notes)))}}}"]
    body = [rf"\begin{{tabular}}{{{kinds}}}", r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
    return "\n".join([*begin, *body, r"\end{tabular}", r"\end{table}"]) + "\n"


def to_csv(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Comma-separated values with a heading, numbers at full precision; nothing where a value is undefined."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([["" if value is None else value for value in row] for row in rows])
    return text.getvalue()


def _latex(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$"}
    special |= {"<": r"\textless{}", ">": r"\textgreater{}", "–": "--", "−": r"$-$"}
    special |= {one: f"\\{one}" for one in "&%$#_{}"}
    return "".join(special.get(one, one) for one in _flat(text))


def _flat(text: str) -> str:
    return " ".join(text.split())
