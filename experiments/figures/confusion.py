"""The confusion matrix: how many rows of each class were taken for which."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from experiments.figures.drawing import named, sheet
from lit_models.tasks.prediction_types import Classes

MOST = 25
"""Classes that are shown; of more, those that are confused most, and the others as one."""


def confusion(outcome: Classes) -> Tensor:
    """Rows by true class (down) and predicted class (across), (K, K)."""
    classes = outcome.probabilities.shape[1]
    cell = outcome.target * classes + outcome.probabilities.argmax(dim=1)
    return torch.bincount(cell, minlength=classes**2).view(classes, classes)


def draw_confusion(outcome: Classes, names: Sequence[str], by_row: bool) -> Any:
    """A figure of counts, or of shares of each true class.

    Args:
        outcome: Of the test rows.
        names: The classes'.
        by_row: Whether to divide by the rows of the true class.
    """
    counts, shown = _few(confusion(outcome), named(names, outcome.probabilities.shape[1]))
    rows, right = int(counts.sum()), int(counts.diagonal().sum())
    totals = counts.sum(dim=1, keepdim=True)
    values = (counts / totals.clamp(min=1)).where(totals > 0, torch.nan) if by_row else counts.double()
    number = len(shown)
    side = max(4.5, 0.42 * number + 2)
    figure, (axes,) = sheet(width=side + 0.8, height=side)
    alone = values.clone()
    if outcome.probabilities.shape[1] > MOST:
        alone[-1, -1] = 0  # so many others together would pale everything else
    top = 1.0 if by_row else max(float(alone.max()), 1.0)
    picture = axes.imshow(values.numpy(), cmap="Blues", vmin=0, vmax=top)
    axes.spines[:].set_visible(False)
    turned = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"} if max(map(len, shown)) > 3 else {}
    axes.set_xticks(range(number), shown, **turned)
    axes.set_yticks(range(number), shown)
    axes.set(xlabel="predicted class", ylabel="true class")
    for true in range(number):
        for taken in range(number):
            if counts[true, taken]:
                said = _share(float(values[true, taken])) if by_row else f"{int(counts[true, taken]):,}"
                colour = "white" if values[true, taken] > 0.55 * top else "black"
                axes.text(taken, true, said, ha="center", va="center", color=colour, fontsize=8 if number < 13 else 6)
    what = "share of the true class" if by_row else "rows"
    figure.colorbar(picture, ax=axes, shrink=0.8, label=what)
    axes.set_title(f"{right:,} of {rows:,} test rows are right", fontsize=10)
    return figure


def _few(counts: Tensor, names: list[str]) -> tuple[Tensor, list[str]]:
    """At most ``MOST`` classes: those with the most wrong rows, the rest together as one."""
    if len(counts) <= MOST:
        return counts, names
    wrong = counts.sum(dim=0) + counts.sum(dim=1) - 2 * counts.diagonal()
    kept = wrong.argsort(descending=True, stable=True)[: MOST - 1].sort().values
    place = torch.full((len(counts),), len(kept))
    place[kept] = torch.arange(len(kept))
    size = len(kept) + 1
    cells = (place.unsqueeze(1) * size + place).flatten()
    merged = torch.zeros(size**2, dtype=counts.dtype).index_add_(0, cells, counts.flatten())
    return merged.view(size, size), [*(names[one] for one in kept.tolist()), f"{len(counts) - len(kept)} others"]


def _share(value: float) -> str:
    return "1" if value == 1 else f"{value:.2f}".lstrip("0") if value >= 0.005 else "<.01"
