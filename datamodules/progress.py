"""Progress line of a long pass over the data."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds before the first line."""


def progress(pieces: Iterable[T], label: str, total: int, size: Callable[[T], int]) -> Iterator[T]:
    """Yields the pieces; after two seconds, prints a progress line on stderr if it is a terminal.

    Args:
        pieces: Pieces of the data.
        label: Name of the pass, such as ``reading images``.
        total: Size of all pieces.
        size: Returns the size of a piece.
    """
    began = printed = time.monotonic()
    done, shown = 0, False
    for piece in pieces:
        yield piece
        done += size(piece)
        now = time.monotonic()
        if now - began > PATIENCE and now - printed > 0.2 and sys.stderr.isatty():
            printed, shown = now, True
            print(f"\r{label}: {min(done, total):,} of {total:,}", end="", file=sys.stderr, flush=True)
    if shown:
        print(f"\r{label}: {min(done, total):,} of {total:,}", file=sys.stderr, flush=True)
