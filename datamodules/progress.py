"""How far a long reading is, for a person who waits at a terminal."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds that pass before anything is shown."""


def shown(steps: Iterable[T], total: int, step: int, what: str) -> Iterator[T]:
    """Pass steps on; once it takes longer than two seconds, and stderr is a terminal, say how many came.

    Args:
        steps: What is passed on.
        total: How many things there are.
        step: How many of them a step is.
        what: What they are, as in ``images read``.
    """
    began = said = time.monotonic()
    for number, value in enumerate(steps, start=1):
        yield value
        now = time.monotonic()
        if now - began > PATIENCE and now - said > 0.2 and sys.stderr.isatty():
            said = now
            print(f"\r{min(number * step, total):,} of {total:,} {what}", end="", file=sys.stderr, flush=True)
    if said > began:
        print(f"\r{' ' * 60}\r", end="", file=sys.stderr, flush=True)
