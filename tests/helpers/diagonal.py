"""Pairs of two lists of cases, of which the ordinary suite runs one for each case."""

from collections.abc import Sequence
from typing import Any

import pytest


def diagonal(one: Sequence[Any], other: Sequence[Any]) -> list[Any]:
    """Returns all pairs as parameters of a test; marks those slow that are not on the diagonal.

    Every case of either list is in a pair of the ordinary suite; the shorter list begins again.
    """
    ordinary = {(index % len(one), index % len(other)) for index in range(max(len(one), len(other)))}
    return [
        pytest.param(first, second, marks=() if (i, j) in ordinary else pytest.mark.slow)
        for i, first in enumerate(one)
        for j, second in enumerate(other)
    ]
