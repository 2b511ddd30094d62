"""Splits in files of their own: train, perhaps val, and test."""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import polars
import torch
from polars.exceptions import PolarsError
from torch import Tensor

from datamodules.errors import DataError


class Files(NamedTuple):
    """Rows of all files, one after another."""

    frame: polars.DataFrame
    val: Tensor | None  # row ids of the validation file; None without a file
    test: Tensor | None  # row ids of the test file; None without a file


def read_files(
    read: Callable[[str], polars.DataFrame], path: str, val_path: str | None, test_path: str | None
) -> Files:
    """Reads up to three files with the same columns; ``path`` alone has all rows, or those of train and val.

    Raises ``DataError`` for a validation file without a test file, or files whose columns differ.
    """
    if val_path is not None and test_path is None:
        raise DataError("--data.val_path alone is no split; add the test part's file with --data.test_path")
    frames = [read(path)]
    for option, other in (("val_path", val_path), ("test_path", test_path)):
        if other is not None:
            frame = read(other)
            if missing := [name for name in frames[0].columns if name not in frame.columns]:
                raise DataError(f"--data.{option} {other} lacks the column {missing[0]}, which {path} has")
            frames.append(frame.select(frames[0].columns))
    try:
        frame = polars.concat(frames, how="vertical_relaxed")
    except PolarsError as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"the columns of {path} and the files beside it hold different things: {reason}") from error
    ends = torch.tensor([len(frame) for frame in frames]).cumsum(0).tolist()
    parts = [torch.arange(start, end) for start, end in pairwise(ends)]
    return Files(frame, parts[0] if val_path is not None else None, parts[-1] if test_path is not None else None)
