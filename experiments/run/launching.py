"""The processes that Lightning launches beside this one, looked after until ``Watch`` does it and after."""

import threading
import time
from collections.abc import Sequence
from typing import Any

from lightning.pytorch.strategies.launchers import subprocess_script

from experiments.exits import RankDied
from experiments.run.watch import GRACE, PERIOD, ended, leave


def install() -> None:
    """Put ``observe`` in the place of Lightning's observer.

    That one kills this process with SIGKILL within five seconds of a child's end: no sentence, no exit code, no record.
    """
    subprocess_script._launch_process_observer = observe  # type: ignore[attr-defined,assignment]


def observe(children: Sequence[Any]) -> None:
    """End this process where one that it launched failed and it did not end because of that by itself."""
    threading.Thread(target=_observe, args=(children,), daemon=True).start()


def _observe(children: Sequence[Any]) -> None:
    failed: list[int] = []
    while not failed:
        codes = [child.poll() for child in children]
        failed = [rank for rank, code in enumerate(codes, start=1) if code]
        if not any(code is None for code in codes) and not failed:
            return
        time.sleep(2 * GRACE if failed else PERIOD)
    leave(RankDied(failed[0], len(children) + 1, *ended(children[failed[0] - 1].returncode)), children)
