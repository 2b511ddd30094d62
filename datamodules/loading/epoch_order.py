"""The order of an epoch's rows: a function of a seed and the epoch."""

import torch
from torch import Tensor


def generator(*numbers: int) -> torch.Generator:
    """Random numbers that are a function of these whole numbers."""
    seed = 0
    for number in numbers:
        seed = (seed * 1_000_003 + number) % 2**63
    return torch.Generator().manual_seed(seed)


def balanced_order(labels: Tensor, seed: int, epoch: int) -> Tensor:
    """As many positions as there are rows, every class equally often but for one, in random order.

    A class goes through its rows in one shuffled round after another, over epochs too: no row of it comes a second time
    before each came once.

    Args:
        labels: Class of each row (N,); classes without a row are left out.
        seed: Of the order.
        epoch: Which pass, from 0.
    """
    classes = labels.unique().tolist()
    quota, rest = divmod(len(labels), len(classes))
    drawn = []
    for place, label in enumerate(classes):
        # The rows that do not divide by the classes go round them, over epochs too.
        start, end = (
            quota * past + (past * rest - place + len(classes) - 1) // len(classes) for past in (epoch, epoch + 1)
        )
        rows = (labels == label).nonzero().flatten()
        rounds = range(start // len(rows), (end - 1) // len(rows) + 1)
        shuffled = [rows[torch.randperm(len(rows), generator=generator(seed, label, number))] for number in rounds]
        first = rounds.start * len(rows)
        drawn.append(torch.cat(shuffled)[start - first : end - first] if end > start else rows[:0])
    order = torch.cat(drawn)
    return order[torch.randperm(len(order), generator=generator(seed, epoch))]
