"""Folders of this checkout: the repository, and the helpers that subprocesses import."""

import os
from pathlib import Path

HELPERS = Path(__file__).parent
REPOSITORY = HELPERS.parents[1]
PYTHONPATH = os.pathsep.join([str(REPOSITORY), str(HELPERS)])
