"""Rows that an inspection is based on, and summary columns of rows that are arrays."""

from dataclasses import dataclass

import polars
import torch
from torch import Tensor

from datamodules.splitting.splits import Split


@dataclass(frozen=True)
class InspectionSample:
    """Rows of an inspection, with nothing learned from them: all N rows of a data set, or N of them.

    Args:
        split: Positions of each split's rows among these N.
        features: Columns of a table, or summary columns of other rows, N rows.
        targets: Targets, N rows.
        about: Columns that the split may depend on, N rows; no column if there is none.
        duplicates: Exact copies of an earlier row; None where they were not counted.
    """

    split: Split
    features: polars.DataFrame
    targets: Tensor
    about: polars.DataFrame
    duplicates: int | None


def array_features(x: Tensor, lengths: Tensor | None = None) -> polars.DataFrame:
    """Returns a row of summary columns for each row (N, F), (N, C, T) or (N, C, H, W).

    Args:
        x: The rows. Of a table each column is kept, of others the mean of each channel.
        lengths: Steps of each row (N,), which become a column, where rows are padded.
    """
    each = x.flatten(2).mean(dim=2, dtype=torch.float64) if x.dim() > 2 else x
    name = "mean of channel" if x.dim() > 2 else "column"
    columns = {f"{name} {index}": values.numpy() for index, values in enumerate(each.T)}
    return polars.DataFrame(columns if lengths is None else {**columns, "length": lengths.numpy()})
