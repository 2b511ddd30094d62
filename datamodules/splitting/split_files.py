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
    """Rows of all files, one after another.

    Args:
        frame: The rows.
        val: Row ids of the validation file; None without a file.
        test: Row ids of the test file; None without a file.
    """

    frame: polars.DataFrame
    val: Tensor | None
    test: Tensor | None


def read_files(
    read: Callable[[str], polars.DataFrame], path: str, val_path: str | None, test_path: str | None
) -> Files:
    """Reads up to three files with the same columns.

    Args:
        read: Reads one file.
        path: The train rows; all rows without another file.
        val_path: The validation rows; by default taken from the train rows.
        test_path: The test rows.

    Raises:
        DataError: For a validation file without a test file, or files whose columns differ.
    """
    if val_path is not None and test_path is None:
        raise DataError("--data.val_path alone is no split; add the test part's file with --data.test_path")
    frames = [read(path)]
    for option, other in (("val_path", val_path), ("test_path", test_path)):
        if other is not None:
            frames.append(_alike(read(other), frames[0], other, path, option))
    try:
        frame = polars.concat(frames, how="vertical_relaxed")
    except PolarsError as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"the columns of {path} and the files beside it hold different things: {reason}") from error
    ends = torch.tensor([len(frame) for frame in frames]).cumsum(0).tolist()
    parts = [torch.arange(start, end) for start, end in pairwise(ends)]
    return Files(frame, parts[0] if val_path is not None else None, parts[-1] if test_path is not None else None)


def _alike(
    frame: polars.DataFrame, train: polars.DataFrame, path: str, train_path: str, option: str
) -> polars.DataFrame:
    """Returns a frame's columns in the order of the train file."""
    missing = [name for name in train.columns if name not in frame.columns]
    if missing:
        raise DataError(f"--data.{option} {path} lacks the column {missing[0]}, which {train_path} has")
    return frame.select(train.columns)
