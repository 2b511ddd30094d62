"""Progress line of a long pass over the data."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 2.0  # seconds before the first line


def progress(pieces: Iterable[T], label: str, total: int, size: Callable[[T], int]) -> Iterator[T]:
    """Yields the pieces of a pass, such as ``reading images``; after two seconds, prints a line on a terminal's stderr.

    ``total`` is the size of all pieces.
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
