"""Rows that an inspection is based on, and summary columns of rows that are arrays."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import polars
import torch
from torch import Tensor

from datamodules.splitting.splits import Split


@dataclass(frozen=True)
class InspectionSample:
    """Rows of an inspection, with nothing learned from them: all N rows of a data set, or N of them."""

    split: Split  # positions among these N
    features: polars.DataFrame  # columns of a table, or summary columns of other rows
    targets: Tensor
    about: polars.DataFrame  # columns that the split may depend on; no column if there is none
    duplicates: int | None  # exact copies of an earlier row; None where they were not counted
    raw: Callable[[Tensor], polars.DataFrame | polars.Series | list[Tensor]]  # as ``DataModule.raw``, by positions
    row_ids: Tensor | None = None  # where the rows are a sample
    gaps: tuple[str, ...] = ()  # sentences on missing values inside series
    step_gaps: tuple[str, ...] = ()  # sentences on missing steps inside series
    steps: Iterable[polars.Series] = ()  # of series, each channel's values in all steps, made as they are read, once


def array_features(x: Tensor, lengths: Tensor | None = None) -> polars.DataFrame:
    """Returns columns of a table (N, F), or each channel's mean of rows (N, C, T) or (N, C, H, W) and their lengths."""
    each = x.flatten(2).mean(dim=2, dtype=torch.float64) if x.dim() > 2 else x
    name = "mean of channel" if x.dim() > 2 else "column"
    columns = {f"{name} {index}": values.numpy() for index, values in enumerate(each.T)}
    return polars.DataFrame(columns if lengths is None else {**columns, "length": lengths.numpy()})
