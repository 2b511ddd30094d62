"""Tables as they come: CSV and Parquet files read by polars, and what is wrong with one in a sentence."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import polars
from polars.exceptions import PanicException, PolarsError

from datamodules.errors import DataError
from datamodules.regular_file import check_regular

MISSING = ("", "?", "NA", "N/A", "NaN", "nan", "null", "NULL")
"""What stands for a missing value in a file, where nothing else is said."""

PARQUET = b"PAR1"
"""Begins every Parquet file."""

SHARES = 16
"""The columns of a Parquet file are read in about so many goes."""

SEPARATORS = ",;\t|"


def read_frame(path: str, missing: Sequence[str] = MISSING) -> polars.DataFrame:
    """A whole file, every row of it in the file's order; missing values are null.

    Args:
        path: A Parquet file, or a CSV file in UTF-8 with a header and one of the separators ``,`` ``;`` tab ``|``.
        missing: Texts that stand for a missing value.

    Raises:
        DataError: For a file that is not there, is empty or cannot be read.
    """
    check_regular(path)
    try:
        with open(path, "rb") as file:  # polars itself reads Parquet, of which it need not have the whole file
            content = Path(path).absolute() if file.peek(4)[:4] == PARQUET else file.read()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; --data.path names a CSV or Parquet file") from error
    return parse(content, path, missing)


def parse(content: bytes | Path, name: str, missing: Sequence[str] = MISSING) -> polars.DataFrame:
    """The same from a file's bytes, which messages call ``name``, or of a Parquet file from its path."""
    is_parquet = isinstance(content, Path) or content[:4] == PARQUET
    try:
        if is_parquet or isinstance(content, Path):
            frame = _parse_parquet(content, missing)
        else:
            frame = without_missing(_parse_csv(content, name, missing), missing)
    except (PolarsError, PanicException, OverflowError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
        raise DataError(f"{name} cannot be read as {'Parquet' if is_parquet else 'CSV'}: {reason}") from error
    if not len(frame):
        raise DataError(f"{name} has no rows")
    return frame


def _parse_parquet(content: bytes | Path, missing: Sequence[str]) -> polars.DataFrame:
    """A share of the columns after another, since what polars reads of a file takes as much memory again."""

    def read(columns: list[str]) -> polars.DataFrame:
        source = content if isinstance(content, Path) else io.BytesIO(content)
        frame = polars.read_parquet(source, columns=columns, glob=False, hive_partitioning=False)
        return without_missing(frame, missing)

    names = list(polars.read_parquet_schema(content if isinstance(content, Path) else io.BytesIO(content)))
    size = max(1, len(names) // SHARES)
    shares = [names[start : start + size] for start in range(0, len(names), size)]
    return polars.concat([read(share) for share in shares], how="horizontal") if names else polars.DataFrame()


def _parse_csv(content: bytes, name: str, missing: Sequence[str]) -> polars.DataFrame:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(f"{name} is not UTF-8 text, line {line} is not; save it as UTF-8 or as Parquet") from error
    if not text.strip():
        raise DataError(f"{name} is empty")
    if "\0" in text:
        raise DataError(f"{name} is neither Parquet nor UTF-8 text; save it as one of them")
    header = text.lstrip().partition("\n")[0]
    separator = max(SEPARATORS, key=header.count)
    columns = _check_shape(text, name, separator)
    frame = polars.read_csv(
        io.BytesIO(text.lstrip().encode()),
        separator=separator,
        infer_schema_length=None,  # the type of a column is that of all its values
        try_parse_dates=True,
        null_values=list(missing),
    )
    if len(frame.columns) != len(columns):
        raise DataError(
            f"{name} has {len(columns)} names and {len(frame.columns)} columns; quote what holds a separator"
        )
    return _without_spaces(frame.rename(dict(zip(frame.columns, columns, strict=True))))


def _check_shape(text: str, name: str, separator: str) -> list[str]:
    """The columns' names, once every row has been found to have as many fields.

    polars fills up short rows with nulls, and of long ones it does not say where they are.
    """
    limit = csv.field_size_limit(len(text) + 1)  # Python's own is 131,072 characters, and a text may be longer
    try:
        rows = csv.reader(io.StringIO(text.lstrip(), newline=""), delimiter=separator)
        columns = [column.strip() for column in next(rows)]
        for row in rows:
            if len(row) != len(columns) and row:
                raise DataError(
                    f"{name} is ragged: line {rows.line_num} has {len(row)} fields and the header {len(columns)}"
                )
    except csv.Error as error:
        raise DataError(f"{name} cannot be read as CSV: {error}") from error
    finally:
        csv.field_size_limit(limit)
    again = repeated(columns)
    if again is not None:
        raise DataError(f"{name} has two columns of the name {again!r}; rename one")
    return columns


def repeated(names: Sequence[str]) -> str | None:
    """The first name that comes twice; None where all are different."""
    counts = Counter(names)
    return next((name for name in names if counts[name] > 1), None)


def _without_spaces(frame: polars.DataFrame) -> polars.DataFrame:
    """Spaces around a text taken off; a column of numbers behind spaces is one of numbers."""
    done = []
    for column in frame.iter_columns():
        if column.dtype == polars.String:
            stripped = column.str.strip_chars()
            if not stripped.equals(column, null_equal=True):
                casts = (stripped.cast(dtype, strict=False) for dtype in (polars.Int64, polars.Float64))
                whole = (numbers for numbers in casts if numbers.null_count() == stripped.null_count())
                column = next(whole, stripped)
        done.append(column)
    return polars.DataFrame(done)


def without_missing(frame: polars.DataFrame, missing: Sequence[str]) -> polars.DataFrame:
    """NaN and the texts for missing values as null, which a Parquet file or stripped spaces may still have."""
    texts, floats = polars.selectors.string(), polars.selectors.float()
    return frame.with_columns(
        polars.when(texts.is_in(list(missing))).then(None).otherwise(texts).name.keep(),
        floats.fill_nan(None),
    )
