"""The columns of a piece of a table, as the arrays that are written of them."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy
import polars
from numpy.typing import NDArray

from datamodules.errors import DataError
from datamodules.splitting.splits import PARTS
from datamodules.streaming.labels import MANY
from datamodules.tables.values import to_days, to_numbers


def side_by_side(columns: list[NDArray[Any]], rows: int) -> NDArray[Any]:
    """Columns (n,) as one array (n, columns), of none too."""
    return numpy.stack(columns, axis=1) if columns else numpy.empty((rows, 0))


def numbers_of(column: polars.Series, is_date: bool) -> NDArray[Any]:
    """Numbers or days (n,), NaN where missing: float32 where a file has no more digits, else float64.

    Raises:
        DataError: As ``to_numbers`` and ``to_days`` do.
    """
    if isinstance(column.dtype, polars.Float32 | polars.Float16) and not is_date:
        values = column.cast(polars.Float32).fill_null(float("nan")).to_numpy()
        if not numpy.isinf(values).any():
            return values
    return (to_days(column) if is_date else to_numbers(column)).numpy()


def codes_of(column: polars.Series, known: dict[str, int]) -> NDArray[Any]:
    """Codes of a piece's categories (n,), -1 where missing; new ones are added to those that are known.

    Raises:
        DataError: Where they become too many.
    """
    text = column.cast(polars.String)
    for level in sorted(set(text.unique().drop_nulls().to_list()) - known.keys()):
        known[level] = len(known)
    if len(known) > MANY:
        raise DataError(
            f"column {column.name} has more than {MANY:,} different texts, like an id or free text; "
            "drop it with --data.drop"
        )
    return _replaced(text, known, -1)


def parts_of(column: polars.Series) -> NDArray[Any]:
    """Places in ``PARTS`` (n,) of what a split column names.

    Raises:
        DataError: For other words, and where one is missing.
    """
    check_there(column, "split column")
    odd = column.cast(polars.String).is_in(PARTS).not_().arg_true().to_list()
    if odd:
        raise DataError(f"a row's part is train, val or test, and row {odd[0]} has {column[odd[0]]!r}")
    return _replaced(column.cast(polars.String), {name: index for index, name in enumerate(PARTS)}, -1)


def groups_of(column: polars.Series) -> NDArray[Any]:
    """Hashes of the groups' values (n,) int64, the same in every version of everything.

    Raises:
        DataError: Where one is missing.
    """
    check_there(column, "group column")
    text = column.cast(polars.String)
    hashes = {
        value: int.from_bytes(hashlib.blake2b(value.encode(), digest_size=8).digest(), "little", signed=True)
        for value in text.unique().to_list()
    }
    return _replaced(text, hashes, 0)


def _replaced(text: polars.Series, by: Mapping[str, int], default: int) -> NDArray[Any]:
    replaced = text.replace_strict(list(by), list(by.values()), default=default, return_dtype=polars.Int64)
    return replaced.fill_null(default).to_numpy()


def check_there(column: polars.Series, what: str) -> None:
    """Raise ``DataError`` for a column with a missing value, which a message calls ``what``."""
    if column.null_count():
        raise DataError(
            f"{what} {column.name} is missing in {column.null_count():,} rows, the first of them row "
            f"{column.is_null().arg_max()}; drop those rows"
        )
