"""The process of one run: ``python -m experiments.sweep.run_process PARENT fit ...``, which ends when its parent does.

A sweep that is killed cannot tell its runs to stop, and they must not go on beside those of the sweep that is started
after it. So the kernel tells them: on Linux a process gets SIGTERM when the one that started it is gone. It saves and
ends, as after any SIGTERM.
"""

import ctypes
import os
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1
"""Of ``prctl(2)``."""


def tie_to(parent: int) -> None:
    """Get SIGTERM when the parent ends, or end at once where it is gone already; nothing outside Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    tie_to(int(sys.argv[1]))
    # As `python -m experiments fit ...` from here on, which is what Lightning repeats for each further device.
    sys.argv[:] = ["experiments", *sys.argv[2:]]
    runpy.run_module("experiments", run_name="__main__", alter_sys=True)
