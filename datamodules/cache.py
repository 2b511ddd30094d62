"""The folder where downloads and converted files are kept."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Returns the cache folder: ``$EVENHAND_CACHE``, or ``evenhand`` in the user's cache folder."""
    own = os.environ.get("EVENHAND_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evenhand"
