"""How far a long pass is, told to a person who waits."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds that pass in silence."""


def progress(pieces: Iterable[T], what: str, total: int, size: Callable[[T], int]) -> Iterator[T]:
    """The pieces; after two seconds a line on stderr, if that is a terminal, says how much is done.

    Args:
        pieces: What is gone through.
        what: What is being done, as in ``reading images``.
        total: How much there is.
        size: How much of it a piece is.
    """
    began = told = time.monotonic()
    done, telling = 0, False
    for piece in pieces:
        yield piece
        done += size(piece)
        now = time.monotonic()
        if now - began > PATIENCE and now - told > 0.2 and sys.stderr.isatty():
            told, telling = now, True
            print(f"\r{what}: {min(done, total):,} of {total:,}", end="", file=sys.stderr, flush=True)
    if telling:
        print(f"\r{what}: {min(done, total):,} of {total:,}", file=sys.stderr, flush=True)
