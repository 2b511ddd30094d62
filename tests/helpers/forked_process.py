"""End of a forked process with the exit code that a process of its own would have."""

import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn


def exit_with(function: Callable[[], int]) -> NoReturn:
    """Ends this process with what a function returns or raises; nothing of the parent is cleaned up."""
    code = 1
    try:
        code = function()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
