"""``evenhand`` and ``python -m experiments``: dispatches to the verbs; help is printed before torch is imported."""

import atexit
import difflib
import locale
import os
import signal
import sys
from importlib import import_module

from experiments.cli.arguments import Words, find_packaged_configs
from experiments.terminal import say

# How long torch's threads spin for each other before they sleep. By libgomp's default they spin for milliseconds: with
# one other busy process on two cores, a small CNN's epoch then took 20 s instead of 0.5.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
# By default polars returns freed memory half a second to a second late, when others have requested as much.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:50,muzzy_decay_ms:0")

VERBS = {
    "inspect": "look",
    "fit": "train",
    "sweep": "train",
    "floor": "train",
    "compare": "compare",
    "test": "use",
    "validate": "use",
    "predict": "use",
    "explain": "use",
    "export": "use",
    "serve": "use",
    "demo": "other",
    "schema": "other",
    "completion": "other",
}
"""Group of each verb in the help; the verb is a module of ``verbs/`` with a ``PARSER`` and a function of its name.

Lightning's own verbs have no function.
"""

OVERVIEW = """\
usage: evenhand VERB ...

Train and compare deep-learning architectures on labelled data. Start with

  evenhand demo
  evenhand fit --data TableData --data.path my.csv --data.target label --model LitMLP

{verbs}

evenhand VERB --help shows the options of a verb; --version the version."""


def main(args: Words | None = None) -> int:
    """Runs the words behind ``evenhand``, by default those of this process; returns the exit code.

    Raises:
        SystemExit: With code 2 for a configuration or data that cannot be used, after one sentence on stderr.
    """
    if args is None:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, lambda signum, frame: sys.exit(128 + signum))  # no traceback while it imports
        _prepare_streams()
    words = find_packaged_configs(sys.argv[1:] if args is None else args)
    if words[:1] in (["--version"], ["-V"]):
        from importlib.metadata import version

        say(f"evenhand {version('evenhand')}")
        return 0
    if words[:1] in ([], ["--help"], ["-h"]):
        say(overview())
        return 0
    if words[0] not in VERBS:
        near = difflib.get_close_matches(words[0], VERBS, n=1)
        advice = f"did you mean {near[0]}?" if near else "evenhand --help lists the verbs"
        say(f"error: there is no verb {words[0]!r}; {advice}", sys.stderr)
        raise SystemExit(2)
    verb = import_module(f"experiments.verbs.{words[0]}")
    if {"-h", "--help"} & {*words}:
        say(verb.PARSER.format_help(), end="")
        return 0
    if hasattr(verb, words[0]):
        return int(getattr(verb, words[0])(words[1:]))
    from experiments.cli.lightning_cli import run

    return run(words)


def _prepare_streams() -> None:
    """Reads and writes UTF-8 in every locale, in launched processes too; a closed stdout or stderr goes nowhere."""
    if (
        not sys.flags.utf8_mode
        and "PYTHONUTF8" not in os.environ
        and locale.getpreferredencoding(False).lower() not in ("utf-8", "utf8")
    ):
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, sys.orig_argv)
    atexit.register(say, "", end="")  # discards the rest of stdout if its reader is gone; Python would exit with 120
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if nowhere != descriptor:
                os.dup2(nowhere, descriptor)
            setattr(sys, name, open(descriptor, "w", encoding="utf-8", closefd=False))  # noqa: SIM115  # for the whole process


def overview() -> str:
    """Returns the help of ``evenhand``, from the parsers of the verbs."""
    lines, before = [], ""
    for verb, group in VERBS.items():
        summary = import_module(f"experiments.verbs.{verb}").PARSER.summary
        lines.append(f"{'' if group == before else group:<10}{verb:<12}{summary}")
        before = group
    return OVERVIEW.format(verbs="\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
