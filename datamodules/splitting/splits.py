"""Which rows train, which choose the epoch, which are tested: functions of the data and the split seed alone."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.errors import DataError

PARTS = ("train", "val", "test")


class Split(NamedTuple):
    """Row numbers of the three parts, each sorted, disjoint, int64."""

    train: Tensor
    val: Tensor
    test: Tensor


def check_ratios(ratios: Sequence[float]) -> None:
    """Raise ``DataError`` unless they are three shares that sum to 1, each above 0 but for val, which may be 0."""
    above = len(ratios) == 3 and all(share > 0 for share in (ratios[0], ratios[2])) and ratios[1] >= 0
    if not above or not math.isclose(sum(ratios), 1, abs_tol=1e-9):
        raise DataError(
            "ratios are the shares of train, val and test, each above 0 but for val, which may be 0, and sum to 1; "
            f"{list(ratios)} sum to {sum(ratios):g}"
        )


def split_rows(
    rows: Tensor, ratios: Sequence[float], seed: int, labels: Tensor | None = None, class_names: Sequence[str] = ()
) -> list[Tensor]:
    """Deal rows out to parts at random, each part sorted.

    Args:
        rows: Row numbers, (N,).
        ratios: Share of each part, summing to 1. Counts are rounded so that no row is lost; a part whose share is 0
            gets none.
        seed: The split seed.
        labels: Class of each row, (N,): each part then gets its share of each class, to the nearest row.
        class_names: What to call the classes in messages.

    Raises:
        DataError: Where a part would be left without a row, or without a row of some class.
    """
    groups, shares = _shuffled(rows, seed, labels), [share for share in ratios if share]
    if labels is not None:
        _check_groups(groups, rows, labels, len(shares), class_names)
    parts: list[list[Tensor]] = [[] for _ in shares]
    dealt = [0] * len(shares)
    seen = 0
    for group in groups:
        seen += len(group)
        counts = _counts(len(group), seen, dealt, shares, at_least=0 if labels is None else 1)
        dealt = [before + count for before, count in zip(dealt, counts, strict=True)]
        for pieces, piece in zip(parts, group.split(counts), strict=True):
            pieces.append(piece)
    done = among([torch.cat(part) for part in parts], ratios)
    for name, part, share in zip(PARTS, done, ratios, strict=False):
        if share and not len(part):
            raise DataError(f"{share:g} of {len(rows)} rows leave the {name} part empty; change ratios or add rows")
    for part in done:
        part.numpy().sort()  # in place, where torch's sort takes three times the memory
    return done


def among(parts: Sequence[Tensor], ratios: Sequence[float]) -> list[Tensor]:
    """The parts whose share is above 0, and between them one without a row for each share of 0."""
    some = iter(parts)
    return [next(some) if share else parts[0][:0] for share in ratios]


def _shuffled(rows: Tensor, seed: int, labels: Tensor | None) -> list[Tensor]:
    """The rows in random order, those of each label by themselves."""
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    shuffled = rows[order]
    if labels is None:
        return [shuffled]
    of_shuffled = labels.long()[order]
    return [shuffled[of_shuffled == label] for label in of_shuffled.bincount().nonzero()]


def _counts(size: int, seen: int, dealt: list[int], ratios: Sequence[float], at_least: int) -> list[int]:
    """How many of a group's rows go to each part.

    What a part is owed of all rows seen so far decides who gets a group's odd rows, so that the rounding of many small
    classes does not add up.
    """
    counts = [max(at_least, math.floor(size * share)) for share in ratios]
    while sum(counts) > size:
        counts[counts.index(max(counts))] -= 1
    owed = [seen * share - before - count for share, before, count in zip(ratios, dealt, counts, strict=True)]
    neediest = sorted(range(len(owed)), key=owed.__getitem__, reverse=True)
    for part in neediest[: size - sum(counts)]:  # one row each, so that no count is further than one from its share
        counts[part] += 1
    return counts


def _check_groups(groups: list[Tensor], rows: Tensor, labels: Tensor, parts: int, class_names: Sequence[str]) -> None:
    small = min(groups, key=len, default=None)
    if small is not None and len(small) < parts:
        label = int(labels[rows == small[0]][0])
        name = class_names[label] if class_names else str(label)
        count = "1 row" if len(small) == 1 else f"{len(small)} rows"
        raise DataError(
            f"class {name} has {count}, and a stratified split needs {parts} of each class, one for each part; "
            "add rows, drop the class, or set --data.stratify false"
        )
