"""``evenhand`` and ``python -m experiments``: what needs no torch is answered before torch is imported."""

import os
import sys
from importlib.metadata import version

# How long torch's threads spin for each other before they sleep, unless somebody chose it. By libgomp's default they
# spin for milliseconds: beside one other busy process on two cores, a small CNN's epoch then took 20 s instead of 0.5.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def main(args: list[str] | None = None) -> int:
    """Run one command.

    Args:
        args: The command line's words after ``evenhand``; those of this process where they are left out.

    Returns:
        0 where everything was done.

    Raises:
        SystemExit: With code 2 for a configuration or data that cannot be used, after one sentence on stderr.
    """
    words = sys.argv[1:] if args is None else args
    if words[:1] in (["--version"], ["-V"]):
        print(f"evenhand {version('evenhand')}")
        return 0
    if words[:1] == ["demo"]:
        from experiments.verbs.demo import demo

        return demo(words[1:])
    if words[:1] == ["inspect"]:
        from experiments.verbs.inspect import inspect

        return inspect(words[1:])
    if words[:1] == ["sweep"]:
        from experiments.verbs.sweep import sweep

        return sweep(words[1:])
    from experiments.cli import run

    return run(words)


if __name__ == "__main__":
    sys.exit(main())
