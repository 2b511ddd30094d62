"""``evenhand sweep``: many runs by one command, over settings and seeds, or a search for settings."""

from pathlib import Path

from experiments.cli.arguments import VerbParser, Words
from experiments.terminal import exit_on
from lit_models.errors import ConfigError

EPILOG = """\
2 models x 2 learning rates x 5 seeds = 20 runs, two at a time:

  evenhand sweep -c recipe.yaml --seeds 0..4 --grid model=LitMLP,LitCNN --grid model.optimizer.lr=1e-3,3e-3 --jobs 2

All other words are those of fit. Every run has its own folder, runs/EXPERIMENT/RUN/. The same command again continues:
finished runs are kept, interrupted ones resumed, failed ones tried again. --grid config=a.yaml,b.yaml compares recipes.

The recipes behind the rows of a published table, and both figures:

  evenhand sweep --paper experiments/configs/papers/mnist1d.yaml --seeds 0..4
  evenhand compare runs/paper-mnist1d --paper experiments/configs/papers/mnist1d.yaml

A search tries settings on validation rows, and tests the chosen ones with every seed:

  evenhand sweep -c recipe.yaml --search tpe --trials 50 --space space.yaml --seeds 0..4

with a space.yaml such as

  model.optimizer.lr: {log: [1e-4, 1e-1]}
  model.dropout: {range: [0.0, 0.5]}
  model.layers: {int: [1, 4]}
  model.hidden: {choices: [[64], [128, 128]]}

Three architectures, each with twenty trials in a space of its own, and each winner with every seed:

  evenhand sweep --data Digits --seeds 0..4 --search tpe --trials 20 --each model=LitLinear,LitMLP,LitCNN

exit codes: 0 every run is finished, 2 the sweep cannot start, 130 Ctrl-C, 143 SIGTERM; if runs failed, the code of the
first one (2 configuration, data or disk, 3 diverged, 137 killed). A search may complete without some trials."""

PARSER = VerbParser("sweep", "Train every combination of settings with every seed, or search for settings.", EPILOG)
add = PARSER.add_argument
add("--seeds", nargs="+", default=[], metavar="SEED", help="training seeds: 0..4, or 0,1,2, or 0 1 2")
text = "a setting of fit and its values, as in a YAML list: model.hidden=[64],[128,128]"
add("--grid", nargs="+", action="extend", default=[], metavar="KEY=VALUE,VALUE", help=text)
add("--resplit", type=int, metavar="K", help="repeat on K splits, data.split_seed 0 to K-1, instead of on one")
text = "cross-validate: each of K folds is the test rows of one run; in a search the validation rows"
add("--folds", type=int, metavar="K", help=text)
add("--experiment", metavar="NAME", help="folder of the runs; the data's name if left out")
add("--jobs", type=int, metavar="N", help="runs side by side, which share the cores and GPUs; 1")
add("--ray", metavar="ADDRESS", help="run on a Ray cluster whose machines share this folder; auto finds it")
add("--slurm", nargs="*", metavar="KEY=VALUE", help="run as SLURM jobs with options of sbatch: partition=gpu time=60")
add("--search", choices=["tpe", "gp", "random"], help="search the space of --space instead of a grid")
text = "as many trials for each architecture, in its own space or that of --space: model=LitMLP,LitCNN"
add("--each", metavar="model=A,B", help=text)
add("--trials", type=int, metavar="N", help="trials of a search, earlier ones included; 50 without --budget")
text = "begin no trial after so much training of an architecture: 90s, 10m, 2h"
add("--budget", metavar="TIME", help=text)
text = "seeds of each trial, whose value is their mean; a trial ends early by its first seed; 1"
add("--trial_seeds", type=int, default=1, metavar="N", help=text)
add("--space", type=Path, metavar="FILE", help="YAML: a range, log, int or choices for each setting")
add("--paper", type=Path, metavar="FILE", help="run the rows of a published table, into runs/paper-NAME/")
add("--rows", nargs="+", default=[], metavar="ROW", help="only these rows of the published table")


def sweep(words: Words) -> int:
    """Runs a sweep; ``words`` are those behind ``sweep``."""
    options, rest = PARSER.parse_known_args(words)
    from experiments.sweep.runner import run_grid
    from experiments.sweep.sweep_options import SweepOptions

    with exit_on(ConfigError, OSError, ImportError):
        sweep_options = SweepOptions(**vars(options), words=rest, command=["evenhand", "sweep", *words])
        sweep_options.check()
        if sweep_options.search is None:
            return run_grid(sweep_options)
        from experiments.sweep.optuna_search import search

        return search(sweep_options)
