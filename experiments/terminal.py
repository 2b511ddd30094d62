"""The one place that prints: names from a file of somebody's reach the terminal without their control characters.

A column, a class or a file may be called ``ESC ]0;title BEL``. The terminal acts on that wherever it is printed.
"""

import os
import re
import sys
import warnings
from typing import Any, TextIO

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but for line feed and tabulator, changes of the writing direction, and halves of characters."""


def escaped(text: str) -> str:
    """The text, with control characters as Python writes them: ``\\x1b`` for an escape."""
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def say(text: object, file: TextIO | None = None, end: str = "\n") -> None:
    """Print a text with its control characters escaped; on stdout unless told otherwise.

    If its reader is gone, as behind ``| head``, or its disk is full, the text is lost and the run goes on.
    """
    stream = file or sys.stdout
    try:
        print(escaped(str(text)), file=stream, end=end, flush=True)
    except OSError:
        discard(stream)


def discard(stream: TextIO) -> None:
    """Has everything that is written to a stream from now on, its buffer too, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def escape_warnings() -> None:
    """Have warnings printed with their control characters escaped; idempotent."""
    plain: Any = getattr(warnings.formatwarning, "unescaped", warnings.formatwarning)

    def formatwarning(*args: Any, **kwargs: Any) -> str:
        return escaped(plain(*args, **kwargs))

    formatwarning.unescaped = plain  # type: ignore[attr-defined]
    warnings.formatwarning = formatwarning
