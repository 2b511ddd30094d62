"""The one error that a data module raises for its data or its settings, and the check for a shortage of memory."""

import difflib
from collections.abc import Iterable, Sequence


def check_names(option: str, names: Iterable[str], columns: Sequence[str]) -> None:
    """Raises ``DataError`` for a name, given with ``--data.<option>``, that no column has."""
    for name in names:
        if name not in columns:
            near = difflib.get_close_matches(name, columns, n=3) or list(columns[:10])
            there = f"there are {', '.join(near)}" if near else "these data have none"
            raise DataError(f"--data.{option} {name}: there is no such column to use; {there}")


NO_MEMORY = ("DefaultCPUAllocator: can't allocate memory", "Failed to allocate memory", "std::bad_alloc")
"""Texts of torch's and ONNX Runtime's errors, which have no class of their own on a CPU."""


def is_out_of_memory(error: BaseException) -> bool:
    """Returns True if memory was short."""
    shortage = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"  # the latter is torch's
    return shortage or any(text in str(error) for text in NO_MEMORY)


def raise_shortage(error: Exception) -> None:
    """Raises an error again if memory was short, which no file and no row is to blame for."""
    if is_out_of_memory(error):
        raise error


class DataError(ValueError):
    """Error in data or an option; the message says what is wrong, where and what to do, in one sentence."""


class StratifyError(DataError):
    """Error for a class with too few rows for a stratified split."""


class ColumnError(DataError):
    """Error for an input column that can be left out, such as one whose texts nearly all differ."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column
