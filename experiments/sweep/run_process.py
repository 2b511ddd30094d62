"""The process of one run, with the words ``PARENT fit ...``, which ends with its parent.

A killed sweep cannot stop its runs, and they must not continue next to those of the next sweep. On Linux the kernel
sends SIGTERM to a process when its parent is gone; the run saves and ends.
"""

import ctypes
import os
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1
"""Of ``prctl(2)``."""


def tie_to(parent: int) -> None:
    """Requests SIGTERM for the parent's end, or ends at once if it is gone already; does nothing outside Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(128 + signal.SIGTERM)


def main() -> None:
    """Runs as ``python -m evenhand fit ...``, which Lightning repeats for each further device."""
    tie_to(int(sys.argv[1]))
    sys.argv[:] = ["evenhand", *sys.argv[2:]]
    runpy.run_module("evenhand", run_name="__main__", alter_sys=True)
