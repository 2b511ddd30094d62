"""``evenhand sweep``: many runs by one command, over settings and seeds, or a search for settings."""

import argparse
import sys
from pathlib import Path

from experiments.terminal import say
from lit_models.errors import ConfigError

EXAMPLE = """\
for example, 2 models x 2 rates x 5 seeds = 20 runs, two at a time:

  evenhand sweep -c recipe.yaml --seeds 0..4 --grid model=LitMLP,LitCNN --grid model.optimizer.lr=1e-3,3e-3 --jobs 2

All other words are those of evenhand fit. Every run is an ordinary one with its own folder, runs/EXPERIMENT/RUN/. The
same command again goes on: finished runs are left, interrupted ones resumed, failed ones tried again. A failed run
stops no other. --grid config=a.yaml,b.yaml compares recipes.

A published table runs the recipes behind its rows, and evenhand compare shows both figures:

  evenhand sweep --paper experiments/configs/papers/mnist1d.yaml --seeds 0..4
  evenhand compare runs/paper-mnist1d --paper experiments/configs/papers/mnist1d.yaml

A search tries settings on validation rows and tests what it chose, with every seed:

  evenhand sweep -c recipe.yaml --search tpe --trials 50 --space space.yaml --seeds 0..4

with a space.yaml such as

  model.optimizer.lr: {log: [1e-4, 1e-1]}
  model.dropout: {range: [0.0, 0.5]}
  model.layers: {int: [1, 4]}
  model.hidden: {choices: [[64], [128, 128]]}

exit codes: 0 every run is finished, 2 the sweep cannot start, 130 Ctrl-C, 143 SIGTERM; where runs failed, the code of
the first that did (2 configuration, data or disk, 3 diverged, 137 killed). A search may do without some trials."""


def parser() -> argparse.ArgumentParser:
    """The sweep's own words."""
    made = argparse.ArgumentParser(
        "evenhand sweep",
        description="Train every combination of settings with every seed, and show them side by side.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = made.add_argument
    add("--seeds", nargs="+", default=[], metavar="SEED", help="Training seeds: 0..4, or 0,1,2, or 0 1 2.")
    add(
        "--grid",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE,VALUE",
        help="A setting of fit and its values, as in a YAML list: model.hidden=[64],[128,128].",
    )
    add("--resplit", type=int, metavar="K", help="Repeat on K splits, data.split_seed 0 to K-1; else all share one.")
    add("--experiment", help="Folder of the runs, beneath runs/; the data's name.")
    add("--jobs", type=int, metavar="N", help="So many runs side by side, cores and GPUs divided among them; 1.")
    add("--ray", metavar="ADDRESS", help="Run on a Ray cluster whose machines share this folder; auto finds it.")
    add("--search", choices=["tpe", "random"], help="Search the space of --space instead of a grid.")
    add("--trials", type=int, default=50, metavar="N", help="Trials of a search, those of before included; 50.")
    add("--space", type=Path, metavar="FILE", help="YAML: under each setting its range, log, int or choices.")
    add("--paper", type=Path, metavar="FILE", help="Run the rows of a published table, into runs/paper-NAME/.")
    add("--rows", nargs="+", default=[], metavar="ROW", help="Only these of the published table's rows.")
    return made


def sweep(words: list[str]) -> int:
    """Run what the words ask for.

    Args:
        words: The command line's, behind ``sweep``.

    Returns:
        0 where every run is finished, else the code of the first that failed.

    Raises:
        SystemExit: With 2 for what cannot be run, after one sentence on stderr.
    """
    typed, rest = parser().parse_known_args(words)
    # Imported behind the parser, so that help is there at once.
    from experiments.sweep.grid_sweep import grid_sweep
    from experiments.sweep.sweep_options import SweepOptions

    try:
        options = SweepOptions(**vars(typed), words=rest, command=["evenhand", "sweep", *words])
        options.check()
        if options.search is None:
            return grid_sweep(options)
        from experiments.sweep.optuna_search import search

        return search(options)
    except ConfigError as error:
        say(f"error: {error}", sys.stderr)
        raise SystemExit(2) from error
