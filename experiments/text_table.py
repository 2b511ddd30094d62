"""Tables for a terminal in which every number stays whole: texts fold, and columns that can be spared are left out."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.text import Text

from experiments.terminal import escaped

NUMBER = r"\(p [<=] [\d.]+\)|[-+]?\.?\d[\d.,]*(?:[eE][-+]?\d+)?"
"""A number, or a p value with what it is."""
TOKEN = re.compile(rf"{NUMBER}|\s+|.")
BREAKS = "=,;:/_-+|()[]{}"
"""Characters after which a text without spaces folds."""
FOLDS = (18, 12, 6)
"""Widths to which texts fold, one after the other, until a table fits; numbers in them may need more."""
GAP = 2


@dataclass(frozen=True)
class TextTable:
    """Table that rich renders within the width of a console, and wider where its numbers need more."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: frozenset[int] = frozenset({0})  # columns that are aligned left and fold anywhere but within a number
    spare: Sequence[int] = field(default=())  # columns that are left out of a narrow table, the first of them first

    def fits(self, width: int, is_folded: bool = False) -> bool:
        """Returns True if all columns have room, with no cell folded, or with texts folded as little as possible."""
        every = range(len(self.columns))
        widths = [self._least(index, FOLDS[0]) if is_folded else self._natural(index) for index in every]
        return self._total(widths) <= width

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        shown, widths = self._layout(options.max_width)
        yield _line("")
        headings = self._lines([self.columns[index] for index in shown], shown, widths, last=True)
        yield from (_line(line, "bold") for line in headings)
        yield _line(f" {'─' * (sum(widths) + GAP * (len(widths) - 1))}")
        for row in self.rows:
            yield from map(_line, self._lines([row[index] for index in shown], shown, widths))
        if len(shown) < len(self.columns):
            missing = [name for index, name in enumerate(self.columns) if index not in shown]
            sentence = f" left out at this width: {', '.join(missing)}"
            yield from map(_line, fold(sentence, options.max_width))

    def _layout(self, width: int) -> tuple[list[int], list[int]]:
        """Returns the columns that are shown and their widths."""
        every = range(len(self.columns))
        left_out = [self.spare[:count] for count in range(len(self.spare) + 1)]
        for limit, without in [(FOLDS[0], without) for without in left_out] + [(n, self.spare) for n in FOLDS[1:]]:
            shown = [index for index in every if index not in without]
            least = [self._least(index, limit) for index in shown]
            if self._total(least) <= width:
                break
        widths = [max(self._natural(index), low) for index, low in zip(shown, least, strict=True)]
        while self._total(widths) > width:
            room = [wide - low for wide, low in zip(widths, least, strict=True)]
            if not any(room):
                break
            widest = max((wide, index) for index, wide in enumerate(widths) if room[index])[1]
            widths[widest] -= 1
        return shown, widths

    def _total(self, widths: Sequence[int]) -> int:
        return 1 + sum(widths) + GAP * (len(widths) - 1)

    def _natural(self, index: int) -> int:
        return max(cell_len(_flat(cell)) for cell in (self.columns[index], *(row[index] for row in self.rows)))

    def _least(self, index: int, limit: int) -> int:
        """Returns the least width of a column, with texts that fold to a limit."""
        cells = [_flat(row[index]) for row in self.rows]
        heading = max(map(cell_len, re.split(r"\s|(?<=_)", _flat(self.columns[index]))))
        if index in self.texts:
            numbers = [len(number) for cell in (*cells, self.columns[index]) for number in re.findall(NUMBER, cell)]
            return min(self._natural(index), max([limit, *numbers]))
        words = [word for cell in cells for word in (cell.split() if limit == FOLDS[-1] else [cell])]
        return max([heading, *map(cell_len, words)])

    def _lines(
        self, cells: Sequence[str], shown: Sequence[int], widths: Sequence[int], last: bool = False
    ) -> Iterator[str]:
        """Yields the lines of a row; those of headings are flush with the rule below them."""
        folded = [fold(_flat(cell), width) for cell, width in zip(cells, widths, strict=True)]
        height = max(map(len, folded))
        for number in range(height):
            line = []
            for index, lines, width in zip(shown, folded, widths, strict=True):
                position = number - (height - len(lines) if last else 0)
                text = lines[position] if 0 <= position < len(lines) else ""
                space = " " * (width - cell_len(text))
                line.append(text + space if index in self.texts else space + text)
            yield f" {(' ' * GAP).join(line)}".rstrip()


def fold(text: str, width: int) -> list[str]:
    """Folds a text at spaces, else after punctuation, else anywhere but within a number; a longer number is a line."""
    lines: list[str] = []
    line: list[str] = []
    for token in TOKEN.findall(text):
        line.append(token)
        while len(line) > 1 and cell_len("".join(line).rstrip()) > width:
            ends = range(len(line) - 1, 0, -1)
            cut = next((end for end in ends if line[end - 1].isspace() and end > 1), 0)
            cut = cut or next((end for end in ends if line[end - 1] in BREAKS), len(line) - 1)
            lines.append("".join(line[:cut]).rstrip())
            line = line[cut:]
    return [*lines, "".join(line).rstrip()]


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ignore")


def _flat(text: str) -> str:
    return escaped(" ".join(text.split()))
