"""``evenhand demo``: trains every architecture on series that are made here, or on MNIST-1D, and prints one table."""

from pathlib import Path

from experiments.cli.arguments import VerbParser, Words

RECIPES = Path(__file__).parents[1] / "configs" / "recipes" / "mnist1d"
SHORT = {"linear": 20, "mlp": 30, "cnn": 15, "gru": 15, "transformer": 12}
"""Epochs of each recipe's model in the short demonstration."""

EPILOG = """\
  evenhand demo                          a minute, on two quiet cores
  evenhand demo --full --seeds 0 1 2     an hour and a half, on MNIST-1D, whose rows the package mnist1d makes"""

PARSER = VerbParser("demo", "Train five architectures on synthetic series, in a minute.", EPILOG)
add = PARSER.add_argument
add("--full", action="store_true", help="train on MNIST-1D, the recipes as they are, LSTM too")
add("--seeds", type=int, nargs="+", default=[0], metavar="SEED", help="one run each; the table shows means")
add("--root", type=Path, default=Path(), metavar="DIR", help="folder for runs/; this one if left out")


def demo(words: Words) -> int:
    """Trains, tests and compares; ``words`` are those behind ``demo``."""
    options = PARSER.parse_args(words)
    from experiments.cli.lightning_cli import run
    from experiments.compare.summary_table import side_by_side
    from experiments.compare.table_formats import to_terminal
    from experiments.run.record.record_io import read_record
    from experiments.run.record.run_directory import RunDirectory
    from experiments.terminal import say

    experiment = "mnist1d-full" if options.full else "demo"
    epochs = {path.stem: None for path in sorted(RECIPES.glob("*.yaml"))} if options.full else SHORT
    records = []
    for name, max_epochs in epochs.items():
        for seed in options.seeds:
            directory = RunDirectory.free(options.root / "runs", experiment, f"{name}-seed{seed}")
            settings = ["fit", "-c", str(RECIPES / f"{name}.yaml"), "--seed_everything", str(seed)]
            settings += ["--trainer.default_root_dir", str(options.root)]
            settings += ["--experiment", experiment, "--run", directory.run]
            run([*settings, *(["--data", "Shapes1D", "--trainer.max_epochs", str(max_epochs)] if max_epochs else [])])
            records.append(read_record(directory.path) | {"label": name})
    title = "MNIST-1D, 1,000 test rows" if options.full else "Shapes1D, 450 test rows, short training"
    to_terminal(side_by_side(records, title))
    say(f"curves: tensorboard --logdir {options.root / 'runs' / experiment}")
    return 0
