"""Tables as text: for a terminal, Markdown, LaTeX and CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text


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
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    texts: int = 1
    ragged: bool = True

    def is_words(self, index: int) -> bool:
        """Whether a column is set flush left."""
        return index < self.texts or (self.ragged and index == len(self.columns) - 1)


def to_terminal(sheet: Sheet) -> None:
    """Print it, folded to the terminal's width; at full width where the output is no terminal."""
    screen, text = Console(highlight=False), io.StringIO()
    console = screen if screen.is_terminal else Console(file=text, width=10_000, highlight=False)
    console.print(Text(sheet.title, style="bold"))
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for index, name in enumerate(sheet.columns):
        words = sheet.is_words(index)
        table.add_column(Text(name), justify="left" if words else "right", overflow="fold", no_wrap=not words)
    for row in sheet.rows:
        table.add_row(*map(Text, row))
    console.print(table)
    for note in sheet.notes:
        console.print(Text(note))
    if not screen.is_terminal:
        print("\n".join(line.rstrip() for line in text.getvalue().splitlines()))


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
