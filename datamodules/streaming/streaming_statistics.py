"""Statistics of train rows, learned in one pass over rows on disk."""

from collections.abc import Callable

import torch
from torch import Tensor

from datamodules.loading.base_loader import Batch
from datamodules.preprocessing.normalization import Statistics, learn, positive_scale, without_constants
from datamodules.preprocessing.normalizer import Method, Normalizer
from datamodules.preprocessing.running_moments import Moments
from datamodules.progress import progress
from datamodules.streaming.hash_split import TRAIN, sampled
from datamodules.streaming.partitioned_rows import PartitionedRows

SAMPLE_ROWS, SAMPLE_BYTES = 65_536, 16 << 20
"""Medians and quantiles are those of a sample of about so many train rows, or bytes if they are less."""


class RunningStatistics:
    """Moments of inputs and targets, the category codes that occur, and a sample of the train rows, from one pass.

    Args:
        rows: All rows.
        train_rows: Number of train rows among them.
        features: Numbers of a row, all its positions.
        targets: Numbers of a row's target in regression, else 0.
        sizes: Number of codes of each categorical column.
    """

    def __init__(self, rows: PartitionedRows, train_rows: int, features: int, targets: int, sizes: list[int]) -> None:
        self.rows = train_rows
        self.inputs, self.target = Moments(features), Moments(targets)
        self.seen = [torch.zeros(size, dtype=torch.bool) for size in sizes]
        fraction = min(1.0, min(SAMPLE_ROWS, SAMPLE_BYTES // rows.row_bytes + 1) / train_rows)
        drawn: list[Batch] = []
        for start, piece in progress(rows.scan(TRAIN), "statistics", train_rows, lambda piece: len(piece[1]["row"])):
            if len(piece["row"]):
                self._update(piece)
                positions = torch.from_numpy(sampled(start, start + rows.piece_rows, fraction))[piece["row"] - start]
                drawn.append({name: column[positions] for name, column in piece.items()})
        self.sample: Batch = {name: torch.cat([piece[name] for piece in drawn]) for name in drawn[0]}

    def _update(self, rows: Batch) -> None:
        x, y = rows["x"], rows["y"]
        self.inputs.update(floating(x).view(len(x), -1))
        if len(self.target.count):
            self.target.update(y.double().view(len(y), -1))
        for index, seen in enumerate(self.seen):
            codes = rows["codes"][:, index].long()
            seen[codes[codes >= 0]] = True


def floating(x: Tensor) -> Tensor:
    """Converts numbers to float32, or to float64 if float32 does not represent them."""
    return x if x.dtype == torch.float64 else x.double() if x.dtype in (torch.int32, torch.int64) else x.float()


def normalizer(moments: Moments, sample: Callable[[], Tensor], method: Method) -> Normalizer:
    """Returns the normalizer of inputs: of all rows by their moments, or by a sample (n, F, ...).

    Args:
        moments: Of all rows, for standard and minmax.
        sample: Returns some of the rows, for robust and quantile.
        method: Method of normalization.

    A feature that never varies becomes 0, in later rows too.
    """
    match method:
        case "standard":
            center, scale = moments.mean, moments.std
        case "minmax":
            center, scale = moments.low, moments.high - moments.low
        case _:
            return learn(sample(), method, ends=(moments.low, moments.high))
    positive = positive_scale(scale, moments.low, moments.high)
    return without_constants(Statistics(center, positive), moments.low, moments.high)
