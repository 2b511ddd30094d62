"""Inspection of data as tables for a terminal."""

from collections.abc import Sequence

from rich.console import Group
from rich.text import Text

from datamodules import DataModule
from datamodules.errors import ColumnError, StratifyError
from datamodules.inspection.inspection import Column, Inspection, Numbers
from datamodules.splitting.splits import PARTS
from experiments.cli.arguments import Words, has_option
from experiments.cli.entry_point import user_error
from experiments.cli.fit_parser import load_data
from experiments.terminal import say
from experiments.text_table import TextTable

MAX_ROWS = 40
"""Of the tables of classes and columns."""


def load_any(words: Words) -> tuple[DataModule, list[str]]:
    """Makes the data module of a command line, without the columns that ``fit`` refuses; returns sentences on these.

    If a class has too few rows for a stratified split, the split is another one than that of ``fit``.
    """
    sentences: list[str] = []
    tried: set[str] = set()
    while True:
        try:
            return load_data(words)[1], sentences
        except ValueError as error:  # jsonargparse's, from ours
            cause = user_error(error)
            problem = cause.column if isinstance(cause, ColumnError) else type(cause).__name__
            is_typed = has_option(words, f"--data.types.{problem}")  # for the user to correct
            if not isinstance(cause, ColumnError | StratifyError) or problem in tried or is_typed:
                for sentence in sentences:
                    say(sentence)
                raise
            tried.add(problem)
            if isinstance(cause, ColumnError):
                sentences.append(f"left out: {cause}")
                words = [*words, "--data.drop+", cause.column]
            else:
                sentences.append(f"split without regard to classes: {cause}")
                words = [*words, "--data.stratify", "false"]


def report(inspection: Inspection, figures: Sequence[str] = ()) -> Group:
    """Returns an inspection for a terminal, with sentences on its figures."""
    shape = " x ".join(map(str, inspection.input_shape))
    rows = ", ".join(f"{count:,} {split}" for split, count in inspection.rows.items())
    several = len(inspection.targets) > 1
    return Group(
        Text(f"{inspection.data}: {inspection.task}, {inspection.modality} rows of {shape}\nrows: {rows}"),
        *([_classes(inspection)] if inspection.classes else []),
        *(_values(f"target {name}" if several else "target", values) for name, values in inspection.targets.items()),
        _columns(inspection.columns),
        *([_dates(inspection.dates)] if inspection.dates else []),
        Text(""),
        *map(Text, figures),
        *([Text(inspection.near_copies)] if inspection.near_copies else []),
        *([Text("no row is an exact copy of an earlier one")] if inspection.duplicates == 0 else []),
        *([Text(_strongest(inspection.strongest))] if inspection.rows["val"] and inspection.strongest else []),
        *(Text(f"gaps: {gap}") for gap in inspection.gaps),
        *([Text(inspection.series_scales)] if inspection.series_scales else []),
        *(Text(f"note: {note}") for note in inspection.notes),
        *(Text(f"look: {suspicion}", style="bold yellow") for suspicion in inspection.suspicions),
        *([] if inspection.suspicions else [Text("nothing looks like a leak")]),
    )


def _strongest(scores: dict[str, float]) -> str:
    each = ", ".join(f"{name} {max(0.0, score):.1%}" for name, score in scores.items())
    return f"of the target on validation rows, one column alone explains: {each}"


def _classes(inspection: Inspection) -> TextTable:
    title = "class" if inspection.task != "multilabel" else "label"
    rows = []
    for name, counts in inspection.classes.items():
        fraction = counts["train"] / max(1, inspection.rows["train"])
        rows.append((name, *(f"{counts[split]:,}" for split in PARTS), f"{fraction:.1%}"))
    return _shortened((title, *(f"{split} rows" for split in PARTS), "of train"), rows)


def _values(title: str, values: dict[str, Numbers]) -> TextTable:
    # A part without rows has no numbers.
    rows = [(split, *(map(_number, numbers.values()) if numbers else [""] * 4)) for split, numbers in values.items()]
    return TextTable((title, "mean", "sd", "min", "max"), rows)


def _columns(columns: list[Column]) -> TextTable:
    rows: list[tuple[str, ...]] = []
    for column in columns:
        train = ""
        if column.period is not None:
            train = " to ".join(column.period)
        elif column.most_frequent is not None:
            value, fraction = column.most_frequent
            train = f"{fraction:.0%} {value}"
        elif column.numbers:
            mean, sd, low, high = map(_number, column.numbers.values())
            train = f"{mean} (sd {sd}), {low} to {high}"
        rows.append((column.name, column.type, f"{column.missing:,}", f"{column.different:,}", train))
    return _shortened(("column", "type", "missing (all)", "different (all)", "train rows"), rows, (0, 4))


def _dates(dates: dict[str, dict[str, tuple[str, str] | None]]) -> TextTable:
    rows = [(name, *(" to ".join(period or ()) for period in periods.values())) for name, periods in dates.items()]
    return _shortened(("dates", *(f"{split} rows" for split in PARTS)), rows, (0, 1, 2, 3))


def _shortened(names: Sequence[str], rows: list[tuple[str, ...]], texts: Sequence[int] = (0,)) -> TextTable:
    """Returns a table of the first rows, and a last one with the number of the others."""
    rest = (f"... {len(rows) - MAX_ROWS:,} more", *[""] * (len(names) - 1))
    return TextTable(names, [*rows[:MAX_ROWS], *([rest] if len(rows) > MAX_ROWS else [])], frozenset(texts))


def _number(value: float) -> str:
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"
