"""The one error that a data module raises for its data or its settings."""

import difflib
from collections.abc import Iterable, Sequence


def check_names(option: str, names: Iterable[str], columns: Sequence[str]) -> None:
    """Raises ``DataError`` for a name, given with ``--data.<option>``, that no column has."""
    for name in names:
        if name not in columns:
            near = difflib.get_close_matches(name, columns, n=3) or list(columns[:10])
            there = f"there are {', '.join(near)}" if near else "these data have none"
            raise DataError(f"--data.{option} {name}: there is no such column to use; {there}")


class DataError(ValueError):
    """Error in data or an option; the message says what is wrong, where and what to do, in one sentence."""


class IdColumnError(DataError):
    """Error for an input column whose texts nearly all differ, such as an id or free text."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column
