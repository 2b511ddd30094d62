"""Tables as text: for a terminal, Markdown, LaTeX, HTML and CSV."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import polars
from rich.text import Text

from experiments.console import Console
from experiments.terminal import decimal, escaped
from experiments.text_table import TextTable, fold

MOST_LISTED = 6
"""Names that a sentence lists."""


@dataclass(frozen=True)
class Sheet:
    """Content of a table."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()  # sentences below the table
    texts: Sequence[int] = (0,)  # columns of text, aligned left; the others are numbers
    parts: Sequence[Sequence[int]] = ()  # columns of each table into which it is divided on a narrow terminal
    spare: Sequence[int] = ()  # columns that a narrow terminal does without, the first of them first
    is_divisible: bool = False  # a narrow terminal gets several tables, each with the first column

    def part(self, columns: Sequence[int]) -> TextTable:
        """Returns some of the columns as a table for a terminal."""
        return TextTable(
            [self.columns[index] for index in columns],
            [[row[index] for index in columns] for row in self.rows],
            frozenset(position for position, index in enumerate(columns) if index in self.texts),
            [columns.index(index) for index in self.spare if index in columns],
        )


def to_terminal(sheet: Sheet) -> None:
    """Prints a table, on a narrow terminal in parts; at full width where the output is no terminal."""
    console = Console(highlight=False)
    for line in fold(" ".join(sheet.title.split()), console.width):
        console.print(Text(line, style="bold"))
    for columns in _parts(sheet, console.width):
        console.print(sheet.part(columns))
    console.print()
    for note in sheet.notes:
        for line in fold(" ".join(note.split()), console.width):
            console.print(Text(line))


def _parts(sheet: Sheet, width: int) -> Sequence[Sequence[int]]:
    """Returns the columns of each table for a terminal of a width."""
    every = range(len(sheet.columns))
    if sheet.part(every).fits(width) or not (sheet.parts or sheet.is_divisible):
        return [every]
    if sheet.parts:
        return sheet.parts
    parts = [[0]]
    for index in every[1:]:
        if len(parts[-1]) > 1 and not sheet.part([*parts[-1], index]).fits(width, is_folded=True):
            parts.append([0])
        parts[-1].append(index)
    return parts


def scaled(count: int | None) -> str:
    """Writes a count in three digits with a prefix of the SI: ``316M``; empty for None."""
    if count is None:
        return ""
    value, prefixes = float(f"{count:.2e}"), iter("kMGTPE")
    prefix = ""
    while value >= 1000:
        value, prefix = value / 1000, next(prefixes)
    return f"{value:.3g}{prefix}"


def number(value: float) -> str:
    """Writes a metric for people: four decimals where they say enough, and – where it is undefined."""
    return "–" if math.isnan(value) else f"{value:,.1f}" if 1e4 <= abs(value) < 1e9 else decimal(value)


def amount(difference: float) -> str:
    """Writes the size of a difference with three digits, with two below .1."""
    size = abs(difference)
    return number(size) if size >= 100 else without_zero(f"{size:#.{3 if size >= 0.1 else 2}g}")


def without_zero(number: float | str) -> str:
    """Writes a number below 1 as people do: .05."""
    return str(number).removeprefix("0")


def listed(names: Sequence[str]) -> str:
    """Writes some names in a line, and the number of the others."""
    more = f" and {len(names) - MOST_LISTED:,} more" if len(names) > MOST_LISTED else ""
    return f"{', '.join(names[:MOST_LISTED])}{more}"


def to_markdown(sheet: Sheet) -> str:
    """Formats a table as GitHub's Markdown."""
    lines = [[_markdown(cell) for cell in row] for row in (sheet.columns, *sheet.rows)]
    rule = ["---" if index in sheet.texts else "---:" for index in range(len(sheet.columns))]
    text = "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))
    return "\n\n".join([f"**{_markdown(sheet.title)}**", text, *map(_without_tags, sheet.notes)]) + "\n"


def to_latex(sheet: Sheet) -> str:
    """Formats a table as a LaTeX ``table`` environment, which needs the package booktabs."""
    lines = [_first_cell(" & ".join(map(_latex, row))) + r" \\" for row in (sheet.columns, *sheet.rows)]
    kinds = "".join("l" if index in sheet.texts else "r" for index in range(len(sheet.columns)))
    begin = [r"\begin{table}", r"\centering", rf"\caption{{{_latex(' '.join((sheet.title + '.', *sheet.notes)))}}}"]
    body = [rf"\begin{{tabular}}{{{kinds}}}", r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
    return "\n".join([*begin, *body, r"\end{tabular}", r"\end{table}"]) + "\n"


def to_html(sheet: Sheet) -> str:
    """Formats a table as HTML, for a notebook."""
    sides = ["left" if index in sheet.texts else "right" for index in range(len(sheet.columns))]
    lines = [("th", sheet.columns), *(("td", row) for row in sheet.rows)]
    cells = [
        "".join(
            f'<{tag} style="text-align:{side}">{_html(cell)}</{tag}>' for side, cell in zip(sides, row, strict=True)
        )
        for tag, row in lines
    ]
    rows = "\n".join(f"<tr>{line}</tr>" for line in cells)
    notes = "".join(f"<p>{_html(note)}</p>\n" for note in sheet.notes)
    return f"<p><strong>{_html(sheet.title)}</strong></p>\n<table>\n{rows}\n</table>\n{notes}"


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


def _first_cell(line: str) -> str:
    """Protects the begin of a line: behind the \\\\ of the line before, [ and * would be its arguments."""
    return f"{{}}{line}" if line.startswith(("[", "*")) else line


def _markdown(text: str) -> str:
    """Escapes what ends a cell, and what would be an HTML element."""
    return _without_tags(text).replace("|", "\\|")


def _without_tags(text: str) -> str:
    """Escapes what would be an HTML element; p < .05 stays as it is."""
    return re.sub(r"<(?=[a-zA-Z/!?])", r"\<", _flat(text))


def _html(text: str) -> str:
    return escape(escaped(_flat(text)))


def _flat(text: str) -> str:
    return " ".join(text.split())
