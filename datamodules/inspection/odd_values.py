"""Values that are probably not what they are read as: numbers for missing values, dates as numbers, two spellings."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime

import numpy
import polars

from datamodules.inspection.summary_columns import InspectionSample

NINES = r"-?99+$|-9$"
"""Numbers that often stand for a missing value: 99, 999, 9999 and so on, and -9, -99 and so on."""

FAR = 0.5
"""Of the range of the other values: the distance from which on such a number is far from them."""

DATES = 10
"""So many different whole numbers have to be dates."""

SHOWN = 3
"""Spellings of one value that are shown, and values of which that are."""


def odd_values(sample: InspectionSample, class_names: Iterable[str], is_regression: bool) -> list[str]:
    """Returns sentences on columns, targets and class names that a person should look at."""
    sentences = [*_spellings("classes", class_names)]
    targets = sample.targets[sample.split.train].double()
    for column in targets.view(len(targets), -1).T if is_regression else ():
        sentences += _as_missing(polars.Series("a target", column.numpy()), "train rows")
    for channel in sample.steps:
        sentences += _as_missing(channel, "steps")
    for column in sample.features.iter_columns():
        train = column.gather(sample.split.train.numpy()).drop_nulls()
        if column.dtype.is_numeric():
            sentences += _as_missing(train, "train rows")
        if column.dtype.is_integer():
            sentences += _as_date(train)
        if column.dtype == polars.String:
            sentences += _spellings(f"values of {column.name}", train.unique().to_list())
    return sentences


def _as_missing(numbers: polars.Series, noun: str) -> Iterator[str]:
    """Yields a sentence for a smallest or largest number of nines alone that is repeated, and far from all others."""
    values = numbers.cast(polars.Float64).drop_nans().to_numpy()
    for end in sorted({float(values.min()), float(values.max())}) if len(values) else ():
        is_end = values == end
        repeats = int(is_end.sum())
        if repeats < 2 or repeats == len(values) or not re.match(NINES, f"{end:.17g}"):
            continue
        low, high = (float(bound(values[~is_end])) for bound in (numpy.min, numpy.max))
        if low < high and max(end - high, low - end) > FAR * (high - low):
            yield (
                f"{numbers.name} is {end:,.0f} in {repeats:,} of {len(values):,} {noun}, far from its other values "
                f"({low:,.4g} to {high:,.4g}); if it stands for a missing value, leave those cells empty"
            )


def _as_date(numbers: polars.Series) -> Iterator[str]:
    """Yields a sentence if all whole numbers are dates such as 20201231."""
    if not numbers.is_between(19000000, 21000000).all():
        return
    different = numbers.unique().sort()
    if len(different) >= DATES:
        try:
            dates = [datetime.strptime(str(number), "%Y%m%d") for number in different]
        except ValueError:
            return
        yield (
            f"{numbers.name} is read as numbers, and all are dates such as {different[0]}; "
            f"write them as {dates[0]:%Y-%m-%d}"
        )


def _spellings(noun: str, values: Iterable[str]) -> Iterator[str]:
    """Yields a sentence if some texts differ in upper and lower case and in spaces alone."""
    spellings = defaultdict(list)
    for value in sorted(values):
        spellings["".join(value.split()).casefold()].append(value)
    several = [" and ".join(map(repr, found[:SHOWN])) for found in spellings.values() if len(found) > 1]
    if several:
        yield (
            f"some {noun} differ in upper and lower case or in spaces alone, such as {', '.join(several[:SHOWN])}; "
            "write each one way if they are one"
        )
