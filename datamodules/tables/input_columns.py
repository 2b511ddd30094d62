"""Selection of a table's input columns."""

from collections.abc import Iterable, Sequence

from datamodules.errors import DataError, check_names
from datamodules.splitting.split_options import SplitSettings


def inputs_among(
    columns: Sequence[str], target: Sequence[str], drop: Iterable[str], types: Iterable[str], settings: SplitSettings
) -> list[str]:
    """Returns the input columns in their order: those that are no target, not dropped and not used by the split.

    Args:
        columns: All columns.
        target: Columns to predict.
        drop: Columns to leave out.
        types: Columns with a given type.
        settings: Options of the split.

    Raises:
        DataError: For a name that no column has, a target with another use, or a table without an input.
    """
    for option, names in {"target": target, "drop": drop, "types": types}.items():
        check_names(option, names, columns)
    for option in ("group", "time", "split_column"):
        name = getattr(settings, option)
        check_names(option, [] if name is None else [name], columns)
    if not target or len(set(target)) < len(target) or {*target} & {*drop, *settings.columns}:
        raise DataError("--data.target names one or more different columns that serve nothing else")
    inputs = [name for name in columns if name not in {*target, *drop, *settings.columns}]
    check_names("types", types, inputs)
    if not inputs:
        raise DataError("the table has no input column; drop fewer columns")
    return inputs
