"""The one error that a data module raises for its data or its settings."""

import difflib
from collections.abc import Iterable, Sequence


def check_names(what: str, names: Iterable[str], columns: Sequence[str]) -> None:
    """Raise ``DataError`` for a name, said with ``--data.<what>``, that no column has."""
    for name in names:
        if name not in columns:
            near = difflib.get_close_matches(name, columns, n=3) or list(columns[:10])
            there = f"there are {', '.join(near)}" if near else "these data have none"
            raise DataError(f"--data.{what} {name}: there is no such column to use; {there}")


class DataError(ValueError):
    """Data or a setting that cannot be used; the message says what, where and what to do, in one sentence."""
