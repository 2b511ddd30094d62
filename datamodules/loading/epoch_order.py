"""Order of an epoch's rows, a function of a seed and the epoch."""

from functools import reduce
from math import ceil

import torch
from torch import Tensor


def generator(*numbers: int) -> torch.Generator:
    """Returns a random generator whose seed is a function of whole numbers."""
    seed = reduce(lambda seed, number: (seed * 1_000_003 + number) % 2**63, numbers, 0)
    return torch.Generator().manual_seed(seed)


def balanced_order(labels: Tensor, seed: int, epoch: int) -> Tensor:
    """Returns as many positions as labels (N,), in random order, in which the counts of classes differ by at most one.

    A class is drawn in one shuffled round of its rows after another, over epochs too: no row is drawn a second time
    before each was drawn once. Classes without a row are left out.
    """
    classes = labels.unique().tolist()
    quota, rest = divmod(len(labels), len(classes))
    drawn = []
    for index, label in enumerate(classes):
        # The remainder of rows by classes rotates over the classes, over epochs too.
        start, end = (
            quota * past + (past * rest - index + len(classes) - 1) // len(classes) for past in (epoch, epoch + 1)
        )
        rows = (labels == label).nonzero().flatten()
        rounds = range(start // len(rows), ceil(end / len(rows)))
        shuffled = [rows[torch.randperm(len(rows), generator=generator(seed, label, number))] for number in rounds]
        first = rounds.start * len(rows)
        drawn.append(torch.cat(shuffled)[start - first : end - first])
    order = torch.cat(drawn)
    return order[torch.randperm(len(order), generator=generator(seed, epoch))]
