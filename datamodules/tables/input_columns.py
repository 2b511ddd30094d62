"""Selection of a table's input columns."""

import re
from collections.abc import Iterable, Sequence

from datamodules.errors import DataError, check_names
from datamodules.splitting.split_options import SplitSettings

INDEX = re.compile(r"Unnamed: 0(\.\d+)?|__index_level_\d+__")
"""Names that pandas gives to the index of a frame in a file, besides no name for the first column."""


def inputs_among(
    columns: Sequence[str],
    target: Sequence[str],
    drop: Iterable[str],
    types: Iterable[str],
    settings: SplitSettings,
    id: str | None = None,
) -> list[str]:
    """Returns the input columns in their order: those that are no target, not dropped, no id and not used by the split.

    The index of a pandas frame is no input unless it is among ``types``, the columns with a given type. Raises
    ``DataError`` for a name that no column has, a target with another use, and a table without an input.
    """
    of_split = {option: getattr(settings, option) for option in ("group", "time", "split_column")}
    single = {option: [name] for option, name in {**of_split, "id": id}.items() if name is not None}
    for option, names in {"target": target, "drop": drop, "types": types, **single}.items():
        check_names(option, names, columns)
    if not target or len(set(target)) < len(target) or {*target} & {*drop, *settings.columns, id}:
        raise DataError("--data.target names one or more different columns that serve nothing else")
    inputs = [name for name in columns if name not in {*target, *drop, *settings.columns, id}]
    check_names("types", types, inputs)
    inputs = [name for name in inputs if name in types or not is_index(name, columns)]
    if not inputs:
        raise DataError("the table has no input column; drop fewer columns")
    return inputs


def is_index(name: str, columns: Sequence[str]) -> bool:
    """Returns True for the column in which pandas or R wrote the names of the rows."""
    return bool(INDEX.fullmatch(name)) or (not name and columns[0] == name)


def index_note(columns: Sequence[str], used: Sequence[str | None]) -> str:
    """Returns a note on the index columns that are not used, or an empty string."""
    names = [name or "(without a name)" for name in columns if is_index(name, columns) and name not in used]
    note = f"left out, as the index of a pandas frame: {', '.join(names)}; --data.types takes it as an input"
    return note if names else ""
