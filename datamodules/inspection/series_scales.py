"""Spread of the standard deviations of series: where it is huge, each is to be normalized by itself."""

from typing import NamedTuple

import numpy

from datamodules.base import DataModule

HUGE = 100
"""Ratio of the 90 % and the 10 % quantile of the standard deviations above which a network sees few of the series."""


class ScaleSpread(NamedTuple):
    """Quantiles of the standard deviations of the train series, constant ones left out."""

    low: float  # 10 %
    high: float  # 90 %

    @property
    def is_huge(self) -> bool:
        """True if one scale for all series leaves many of them at next to 0."""
        return self.high > HUGE * self.low


def scale_spread(data: DataModule) -> ScaleSpread | None:
    """Returns the spread of the channel where it is widest; None for other rows than series in memory."""
    scales = data.series_scales() if data.modality == "series" else None
    spreads = [] if scales is None else [column[column > 0].numpy() for column in scales.T]
    quantiles = [ScaleSpread(*numpy.quantile(positive, [0.1, 0.9]).tolist()) for positive in spreads if len(positive)]
    return max(quantiles, key=lambda spread: spread.high / spread.low, default=None)


def describe_spread(data: DataModule) -> str:
    """Returns a sentence on the spread, and on what to do where it is huge; empty for other rows."""
    spread = scale_spread(data)
    if spread is None:
        return ""
    huge = spread.is_huge and data.normalize != "series"
    advice = "; --data.normalize series normalizes each by itself" if huge else ""
    return (
        f"standard deviations of the train series, from their 10 % to their 90 % quantile: {spread.low:.3g} to "
        f"{spread.high:.3g}{advice}"
    )
