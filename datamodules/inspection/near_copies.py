"""Search for rows with nearly the same inputs and another label, such as a picture that is in two classes' folders."""

from math import prod
from typing import NamedTuple, cast

import numpy
import polars
import torch
from torch import Tensor
from torch.nn import functional

from datamodules.inspection.summary_columns import InspectionSample

GRID = 1000
"""Numbers of a table are rounded to this fraction of their standard deviation."""

SIDE, PIXELS = 8, 32
"""Cells of a thumbnail's side, and pixels at most of an image's side that are averaged in them."""

SEGMENTS = 32
"""Values in a thumbnail of each channel of a series."""

BLOCK = 1024
"""Rows whose thumbnails are made at a time."""

ALIKE = 0.015
"""Largest mean difference of two thumbnails that are alike, as a fraction of the spread of all values."""

BY_CHANCE = 0.01
"""A table's near-copies are suspicious if fewer than this fraction of them is expected of independent columns."""

LIMITS = (2 * ALIKE, 3 * ALIKE, 4.5 * ALIKE, 7 * ALIKE)
"""Differences of neighbouring values from which on a hash says that they differ much."""

NEXT = 3
"""Rows with the same hash that each row is compared with."""

PUNCTUATION = r"[\s\p{P}\p{S}]+"


class NearCopies(NamedTuple):
    """Rows whose inputs are nearly those of a row with another label."""

    rows: int
    searched: str  # which rows were compared
    example: tuple[int, int] | None  # two rows with other labels
    suspicious: bool  # False if so many occur by chance, as among columns of few values

    def sentence(self, kind: str) -> str:
        """Returns a sentence on these rows, of one kind of data: table, text, image or series."""
        if not self.rows:
            return f"of {self.searched} rows, none is nearly equal to one with another label"
        alike = {
            "table": f"equal once numbers are rounded to 1/{GRID} of their standard deviation, and texts simplified",
            "text": "equal without case, spaces and punctuation",
        }.get(kind, "alike in a small thumbnail")
        assert self.example is not None
        first, second = self.example
        return (
            f"{self.rows:,} of {self.searched} rows are nearly equal to a row with another label, such as rows "
            f"{first} and {second} ({alike}); correct the labels where they are wrong"
        )


def near_copies(sample: InspectionSample, is_regression: bool) -> NearCopies:
    """Returns the rows with nearly equal inputs and another label, or with values a standard deviation apart."""
    y = sample.targets.double().view(len(sample.targets), -1)
    apart = y.std(dim=0, correction=0) if is_regression else torch.zeros(y.shape[1])
    searched = f"all {len(y):,}" if sample.row_ids is None else f"{len(y):,} sampled"
    every, by_chance = torch.arange(len(y)), 0.0
    first = sample.raw(every[:1])
    if isinstance(first, polars.DataFrame):
        simple = _simplified(sample.features)
        pairs, by_chance = _equal_pairs(simple.hash_rows(), y, apart), _expected_pairs(simple)
    elif isinstance(first, polars.Series):
        texts = _simplified_text(cast(polars.Series, sample.raw(every)))
        pairs = _equal_pairs(texts.replace("", None), y, apart)
    else:
        thumbnails = [_thumbnails(cast(list[Tensor], sample.raw(block))) for block in every.split(BLOCK)]
        pairs = _alike_pairs(torch.cat(thumbnails), y, apart)
    if not len(pairs):
        return NearCopies(0, searched, None, False)
    rows = len(pairs.unique())
    example = pairs[int((pairs[:, 0] * len(y) + pairs[:, 1]).argmin())]
    one, other = (example if sample.row_ids is None else sample.row_ids[example]).tolist()
    return NearCopies(rows, searched, (one, other), by_chance <= BY_CHANCE * rows)


def _equal_pairs(keys: polars.Series, y: Tensor, apart: Tensor) -> Tensor:
    """Returns pairs (P, 2) of rows with the same key and another label, each such row in one of them at least."""
    frame = keys.alias("key").to_frame().with_row_index("row").drop_nulls()
    frame = frame.filter(polars.col("key").is_duplicated()).sort("key", "row")
    rows = torch.tensor(frame["row"].cast(polars.Int64).to_numpy())
    target = polars.DataFrame(y[rows].numpy(), schema=[f"y{index}" for index in range(y.shape[1])])
    frame = frame.hstack(target)
    found = [torch.empty(0, 2, dtype=torch.int64)]
    for index in range(y.shape[1]):
        column = polars.col(f"y{index}")
        # Each row is paired with the row of its key that is the farthest away: the lowest or the highest one.
        low, high = (polars.col("row").get(each).over("key") for each in (column.arg_min(), column.arg_max()))
        farther = polars.when(column - column.min().over("key") > column.max().over("key") - column).then(low)
        other = frame.select(farther.otherwise(high)).to_series().cast(polars.Int64)
        partner = torch.tensor(other.to_numpy())
        found.append(_other_labels(torch.stack([rows, partner], dim=1), y[:, [index]], apart[[index]]))
    return torch.cat(found)


def _alike_pairs(thumbnails: Tensor, y: Tensor, apart: Tensor) -> Tensor:
    """Returns pairs (P, 2) of rows with thumbnails (N, D) that are alike and other labels.

    Rows are compared that share a difference hash (which of neighbouring values differ much, and in which direction),
    with the next ones by their mean. Several hashes are tried, as a value may be near the limit of one.
    """
    values = thumbnails / _spread(thumbnails)
    steps, means = values.diff(dim=1), values.mean(dim=1).numpy()
    found = [torch.empty(0, 2, dtype=torch.int64)]
    for limit in LIMITS:
        packed = numpy.packbits(torch.cat([steps > limit, steps < -limit], dim=1).numpy(), axis=1)
        factors = numpy.random.default_rng(0).integers(2**62, size=packed.shape[1])
        keys = packed.astype(numpy.int64) @ factors
        order = torch.from_numpy(numpy.lexsort((means, keys)))
        same = torch.from_numpy(keys)[order]
        for ahead in range(1, NEXT + 1):
            near = same[ahead:] == same[:-ahead]
            pairs = _other_labels(torch.stack([order[:-ahead][near], order[ahead:][near]], dim=1), y, apart)
            distance = (values[pairs[:, 0]] - values[pairs[:, 1]]).abs().mean(dim=1)
            found.append(pairs[distance <= ALIKE])
    return torch.cat(found)


def _other_labels(pairs: Tensor, y: Tensor, apart: Tensor) -> Tensor:
    """Keeps the pairs with targets farther apart, each with its lower row first."""
    pairs = pairs.sort(dim=1).values
    return pairs[((y[pairs[:, 0]] - y[pairs[:, 1]]).abs() > apart).any(dim=1)]


def _simplified(frame: polars.DataFrame) -> polars.DataFrame:
    """Rounds numbers to a grid, and removes case, spaces and punctuation of texts."""
    columns = []
    for column in frame.iter_columns():
        if column.dtype.is_float():
            values = column.cast(polars.Float64)
            spread = values.std(ddof=0)
            column = (values / (spread / GRID)).round() if isinstance(spread, float) and spread > 0 else values
        elif column.dtype in (polars.String, polars.Categorical, polars.Enum):
            column = _simplified_text(column)
        columns.append(column)
    return polars.DataFrame(columns)


def _simplified_text(column: polars.Series) -> polars.Series:
    different = column.cast(polars.String).unique()
    simple = different.str.to_lowercase().str.replace_all(PUNCTUATION, "")
    if len(different) > len(column) / 2:
        return column.cast(polars.String).str.to_lowercase().str.replace_all(PUNCTUATION, "")
    return column.cast(polars.String).replace(different, simple)


def _expected_pairs(frame: polars.DataFrame) -> float:
    """Returns how many pairs of rows would be equal if the columns were independent."""
    pairs = len(frame) * (len(frame) - 1) / 2
    counts = (column.alias("value").value_counts()["count"].cast(polars.Float64) for column in frame.iter_columns())
    return pairs * prod((float((count * (count - 1) / 2).sum()) + 1) / max(pairs, 1) for count in counts)


def _thumbnails(rows: list[Tensor]) -> Tensor:
    """Returns the means of a few cells of images (C, H, W) or series (C, T), (N, D) float32."""
    if rows[0].dim() == 3:
        images = torch.stack(rows)
        steps = [max(1, size // PIXELS) for size in images.shape[2:]]
        pixels = images[..., :: steps[0], :: steps[1]].float()
        return functional.adaptive_avg_pool2d(pixels, (SIDE, SIDE)).flatten(1)
    thumbnails = torch.empty(len(rows), len(rows[0]), SEGMENTS)
    for shape in {row.shape for row in rows}:
        alike = [index for index, row in enumerate(rows) if row.shape == shape]
        series = torch.stack([rows[index] for index in alike]).float().nan_to_num()
        thumbnails[alike] = functional.adaptive_avg_pool1d(series, SEGMENTS)
    return thumbnails.flatten(1)


def _spread(thumbnails: Tensor) -> float:
    """Returns the range of all values, the highest and the lowest of a thousand left out."""
    values = thumbnails.flatten()
    sample = values[:: max(1, len(values) // 100_000)]
    low, high = torch.quantile(sample, torch.tensor([0.001, 0.999])).tolist()
    return max(float(high - low), 1e-12)
