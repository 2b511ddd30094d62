"""``evenhand demo``: every architecture on MNIST-1D, and one table of them side by side."""

import argparse
from pathlib import Path

from experiments.console import Console

RECIPES = Path(__file__).parents[1] / "configs" / "recipes" / "mnist1d"
SHORT = {"linear": 20, "mlp": 30, "cnn": 15, "gru": 15, "transformer": 12}
"""Architectures and epochs of the short demonstration."""

EPILOG = """\
  evenhand demo                          seventy seconds, on two quiet cores
  evenhand demo --full --seeds 0 1 2     the README's table: much longer"""


def demo(words: list[str]) -> int:
    """Train, test and compare.

    Args:
        words: The command line's, behind ``demo``.
    """
    parser = argparse.ArgumentParser(
        "evenhand demo",
        description="Train every architecture on MNIST-1D, and print one table of them side by side.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--full", action="store_true", help="Train the recipes as they stand, LSTM too: the README's table."
    )
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0], metavar="SEED", help="One run each; means are shown."
    )
    parser.add_argument("--root", type=Path, default=Path(), help="Folder that gets runs/; this one.")
    typed = parser.parse_args(words)
    from experiments.cli.lightning_cli import run
    from experiments.compare.summary_table import side_by_side
    from experiments.run.record.record_io import read_record
    from experiments.run.record.run_directory import RunDirectory

    experiment = "mnist1d-full" if typed.full else "mnist1d-demo"
    epochs = {path.stem: None for path in sorted(RECIPES.glob("*.yaml"))} if typed.full else SHORT
    records = []
    for name, max_epochs in epochs.items():
        for seed in typed.seeds:
            directory = RunDirectory.free(typed.root / "runs", experiment, f"{name}-seed{seed}")
            settings = ["fit", "-c", str(RECIPES / f"{name}.yaml"), "--seed_everything", str(seed)]
            settings += ["--trainer.default_root_dir", str(typed.root)]
            settings += ["--experiment", experiment, "--run", directory.run]
            run(settings + (["--trainer.max_epochs", str(max_epochs)] if max_epochs else []))
            records.append(read_record(directory.path) | {"label": name})
    console = Console()
    console.print(side_by_side(records, "MNIST-1D, 1,000 test rows" + ("" if typed.full else ", short training")))
    console.print(f"curves: tensorboard --logdir {typed.root / 'runs' / experiment}")
    return 0
