"""The environment variable that turns off whatever exists only for speed on CPUs."""

import os

NAME = "EVENHAND_PLAIN"


def plain() -> bool:
    """Returns True if ``EVENHAND_PLAIN`` is set to anything but 0: torch and Lightning then run as they come."""
    return os.environ.get(NAME, "0") not in ("", "0")
