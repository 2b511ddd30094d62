"""Columns to look at of rows that are arrays: what can be said of one in a number."""

import polars
import torch
from torch import Tensor


def array_features(x: Tensor, lengths: Tensor | None = None) -> polars.DataFrame:
    """A row for each row (N, F), (N, C, T) or (N, C, H, W).

    Args:
        x: The rows: of a table its columns, of others the mean of each channel.
        lengths: Steps of each row (N,), which become a column, where rows are padded.
    """
    each = x.flatten(2).mean(dim=2, dtype=torch.float64) if x.dim() > 2 else x
    name = "mean of channel" if x.dim() > 2 else "column"
    columns = {f"{name} {index}": values.numpy() for index, values in enumerate(each.T)}
    return polars.DataFrame(columns if lengths is None else {**columns, "length": lengths.numpy()})
