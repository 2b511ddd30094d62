"""``evenhand`` and ``python -m experiments``: what needs no torch is answered before torch is imported."""

import os
import sys
from importlib import import_module
from importlib.metadata import version

from experiments.cli.config_paths import resolve
from experiments.cli.help_text import PAGES

# How long torch's threads spin for each other before they sleep, unless somebody chose it. By libgomp's default they
# spin for milliseconds: beside one other busy process on two cores, a small CNN's epoch then took 20 s instead of 0.5.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
# polars gives memory back half a second to a second after nobody wants it, when others have asked for as much.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:50,muzzy_decay_ms:0")

HELP = """usage: evenhand VERB ...

Train and compare deep-learning architectures on labelled data. Start with

  evenhand demo
  evenhand fit --data TableData --data.path my.csv --data.target label --model LitMLP

look      inspect     data and split before anything is trained, and what looks like a leak
train     fit         train, choose the best epoch on validation rows, test once
          sweep       many runs: settings, seeds, a search
          floor       scikit-learn's baselines on the same split
compare   compare     runs side by side, with statistics over seeds and test rows
use       test        a checkpoint on the test rows again
          validate    a checkpoint on the validation rows
          predict     raw rows, by a checkpoint alone
          export      files that answer without the training code: ONNX and others
          serve       requests by HTTP, and a page to try it on
other     demo        five architectures on MNIST-1D, in seventy seconds

evenhand VERB --help tells more; --version tells the version."""

VERBS = ("compare", "demo", "export", "floor", "inspect", "predict", "serve", "sweep")
"""Each a function of its name, in a module of its name in ``verbs/``; all others are Lightning's."""


def main(args: list[str] | None = None) -> int:
    """Run one command.

    Args:
        args: The command line's words after ``evenhand``; those of this process where they are left out.

    Returns:
        0 where everything was done.

    Raises:
        SystemExit: With code 2 for a configuration or data that cannot be used, after one sentence on stderr.
    """
    words = resolve(sys.argv[1:] if args is None else args)
    if words[:1] in (["--version"], ["-V"]):
        print(f"evenhand {version('evenhand')}")
        return 0
    if words[:1] in ([], ["--help"], ["-h"]):
        print(HELP)
        return 0
    if words[0] in VERBS:
        verb = import_module(f"experiments.verbs.{words[0]}")
        code: int = getattr(verb, words[0])(words[1:])
        return code
    if words[0] in PAGES and {"-h", "--help"} & {*words}:
        print(PAGES[words[0]])
        return 0
    from experiments.cli.lightning_cli import run

    return run(["--help" if word == "--help-all" else word for word in words])


if __name__ == "__main__":
    sys.exit(main())
