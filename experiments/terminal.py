"""Prints to the terminal with control characters escaped.

A column, a class or a file of an untrusted source may be called ``ESC ]0;title BEL``, and the terminal would obey.
"""

import errno
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, TextIO

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters except line feed and tab, changes of the text direction, and surrogates."""


def escaped(text: str) -> str:
    """Escapes control characters as Python does: ``\\x1b`` for ESC."""
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def say(text: object, file: TextIO | None = None, end: str = "\n") -> None:
    """Prints a text with its control characters escaped, by default on stdout.

    If its reader is gone, as behind ``| head``, or its disk is full, the text is lost and the run goes on.
    """
    stream = file or sys.stdout
    try:
        print(escaped(str(text)), file=stream, end=end, flush=True)
    except OSError:
        discard(stream)


def decimal(value: float) -> str:
    """Writes a metric with four decimals, or in scientific notation if it is too small or too large to read so."""
    return f"{value:.4f}" if value == 0 or 1e-4 <= abs(value) < 1e9 else f"{value:.4e}"


def duration(seconds: float) -> str:
    """Writes a time in seconds, minutes or hours, whichever is easiest to read."""
    for unit, length in (("s", 1), ("min", 60)):
        if seconds / length < 59.5:
            return f"{max(1, round(seconds / length))} {unit}"
    return f"{seconds / 3600:.1f} h"


def discard(stream: IO[str]) -> None:
    """Discards the buffer of a stream, and everything that is written to it from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def error_sentence(error: BaseException) -> str:
    """Returns an error's message on one line; the operating system's ends with what to do."""
    if not isinstance(error, OSError) or error.errno is None:
        return " ".join(str(error).split())
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    name = f"{error.filename}: " if error.filename else ""
    return f"{name}{os.strerror(error.errno)}; {'make room' if is_full else 'name a file or folder that can be used'}"


@contextmanager
def exit_on(*errors: type[Exception]) -> Iterator[None]:
    """Prints one of the errors in a sentence, and exits with code 2."""
    try:
        yield
    except errors as error:
        say(f"error: {error_sentence(error)}", sys.stderr)
        raise SystemExit(2) from error


def escape_warnings() -> None:
    """Escapes control characters in warnings, from now on; idempotent."""
    plain: Any = getattr(warnings.formatwarning, "unescaped", warnings.formatwarning)

    def formatwarning(*args: Any, **kwargs: Any) -> str:
        return escaped(plain(*args, **kwargs))

    formatwarning.unescaped = plain  # type: ignore[attr-defined]
    warnings.formatwarning = formatwarning
