"""Random split of rows into train, val and test, a function of the data and the split seed alone."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.errors import DataError, StratifyError

PARTS = ("train", "val", "test")


class Split(NamedTuple):
    """Row ids of the three splits, each sorted, disjoint, int64."""

    train: Tensor
    val: Tensor
    test: Tensor


def check_ratios(ratios: Sequence[float]) -> None:
    """Raises ``DataError`` unless ratios are three fractions that sum to 1, above 0 except val, which may be 0."""
    above = len(ratios) == 3 and ratios[0] > 0 and ratios[1] >= 0 and ratios[2] > 0
    if not above or not math.isclose(sum(ratios), 1):
        raise DataError(
            "ratios are the fractions of train, val and test, each above 0 but for val, which may be 0, and sum to 1; "
            f"{list(ratios)} sum to {sum(ratios):g}"
        )


def split_rows(
    rows: Tensor, ratios: Sequence[float], seed: int, labels: Tensor | None = None, class_names: Sequence[str] = ()
) -> list[Tensor]:
    """Splits rows (N,) at random; each split is sorted.

    Counts are rounded so that no row is lost; a split with fraction 0 gets no row. With labels (N,) each split gets its
    fraction of each class, to the nearest row. Raises ``DataError`` for a split without a row, or without some class.
    """
    groups, fractions = _shuffled(rows, seed, labels), [fraction for fraction in ratios if fraction]
    if labels is not None:
        _check_groups(groups, rows, labels, len(fractions), class_names)
    parts: list[list[Tensor]] = [[] for _ in fractions]
    dealt, seen = [0] * len(fractions), 0
    for group in groups:
        seen += len(group)
        counts = _counts(len(group), seen, dealt, fractions, at_least=0 if labels is None else 1)
        dealt = [before + count for before, count in zip(dealt, counts, strict=True)]
        for pieces, piece in zip(parts, group.split(counts), strict=True):
            pieces.append(piece)
    done = among([torch.cat(part) for part in parts], ratios)
    for name, part, fraction in zip(PARTS, done, ratios, strict=False):
        if fraction and not len(part):
            raise DataError(f"{fraction:g} of {len(rows)} rows leave the {name} part empty; change ratios or add rows")
    for part in done:
        part.numpy().sort()  # in place; torch's sort takes three times the memory
    return done


def among(parts: Sequence[Tensor], ratios: Sequence[float]) -> list[Tensor]:
    """Returns the splits with a fraction above 0, and an empty one for each fraction of 0."""
    some = iter(parts)
    return [next(some) if fraction else parts[0][:0] for fraction in ratios]


def _shuffled(rows: Tensor, seed: int, labels: Tensor | None) -> list[Tensor]:
    """Returns the rows in random order, grouped by label."""
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    shuffled = rows[order]
    if labels is None:
        return [shuffled]
    of_shuffled = labels.long()[order]
    return [shuffled[of_shuffled == label] for label in of_shuffled.unique()]


def _counts(size: int, seen: int, dealt: list[int], ratios: Sequence[float], at_least: int) -> list[int]:
    """Returns the number of a group's rows in each split.

    A group's remainder goes to the splits with the largest deficit over all groups so far, so that the rounding of many
    small classes does not add up.
    """
    counts = [max(at_least, math.floor(size * fraction)) for fraction in ratios]
    if (too_many := sum(counts) - size) > 0:
        counts[counts.index(max(counts))] -= too_many
    deficit = [seen * fraction - before - count for fraction, before, count in zip(ratios, dealt, counts, strict=True)]
    neediest = sorted(range(len(deficit)), key=deficit.__getitem__, reverse=True)
    for part in neediest[: size - sum(counts)]:  # one row each: no count differs by more than one from its fraction
        counts[part] += 1
    return counts


def _check_groups(groups: list[Tensor], rows: Tensor, labels: Tensor, parts: int, class_names: Sequence[str]) -> None:
    small = min(groups, key=len, default=None)
    if small is not None and len(small) < parts:
        label = int(labels[rows == small[0]][0])
        raise StratifyError(
            f"class {class_names[label] if class_names else label} has {len(small)} row{'s' * (len(small) > 1)}, and a "
            f"stratified split needs {parts} of each class, one for each part; "
            "add rows, drop the class, or set --data.stratify false"
        )
