"""Which columns of a table are inputs."""

from collections.abc import Iterable, Sequence

from datamodules.errors import DataError, check_names
from datamodules.splitting.split_options import SplitSettings


def inputs_among(
    columns: Sequence[str], target: Sequence[str], drop: Iterable[str], types: Iterable[str], settings: SplitSettings
) -> list[str]:
    """The columns that serve nothing else, in their order.

    Args:
        columns: All columns.
        target: Those to predict.
        drop: Those to leave out.
        types: Those whose type was said.
        settings: What was said about the split.

    Raises:
        DataError: For a name that no column has, or a target that serves something else.
    """
    for what, names in {"target": target, "drop": drop, "types": types}.items():
        check_names(what, names, columns)
    for what in ("group", "time", "split_column"):
        name = getattr(settings, what)
        check_names(what, [] if name is None else [name], columns)
    if not target or len(set(target)) < len(target) or {*target} & {*drop, *settings.columns}:
        raise DataError("--data.target names one or more different columns that serve nothing else")
    inputs = [name for name in columns if name not in {*target, *drop, *settings.columns}]
    check_names("types", types, inputs)
    return inputs
