"""``evenhand floor``: classical baselines on the identical split, recorded as runs beside those of the networks."""

import argparse
from importlib.util import find_spec
from pathlib import Path

from datamodules import DataError
from experiments.cli.entry_point import answer
from experiments.cli.lightning_cli import DataCLI
from experiments.compare.published_table_file import read_paper
from experiments.compare.summary_table import side_by_side
from experiments.run.cpu_speed import keep
from experiments.sweep.grid import parse_seeds

HELP = """usage: evenhand floor [-c FILE] [--data CLASS] [--data.SETTING VALUE ...] [--seeds 0..4] [--paper FILE]

Fit what scikit-learn has on the train rows of the same split, test it on the same test rows, and record each as a run:
the majority, logistic regression or ridge, a random forest, histogram gradient boosting; for texts TF-IDF + logistic
regression. It takes the words of fit, of which those of the data, --seed_everything and --experiment count, and as
sweep does --seeds, with each of which every baseline is fitted:

  evenhand floor -c experiments/configs/recipes/adult/mlp.yaml --seeds 0..4

The data of a published table, each once, into the folder of its runs:

  evenhand floor --paper experiments/configs/papers/adult.yaml

scikit-learn is needed: pip install 'evenhand[sklearn]'."""


def floor(words: list[str]) -> int:
    """Fits and records every baseline, and prints them side by side.

    Args:
        words: Command line after ``floor``.
    """
    if {"-h", "--help"} & {*words}:
        print(HELP)
        return 0

    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument("--seeds", nargs="+")
    own.add_argument("--paper", type=Path)
    options, words = own.parse_known_args(words)
    seeds: list[str] | None = options.seeds
    paper: Path | None = options.paper

    def fit(words: list[str], command: list[str], allowed: list[str]) -> None:
        if find_spec("sklearn") is None:
            raise DataError("the floor is scikit-learn's, which is not installed; pip install 'evenhand[sklearn]'")
        from rich.console import Console

        from experiments.floor.fit_floor import fit_floor

        fitted: list[dict[str, str]] = []
        for line in [words] if paper is None else _lines(paper, words):
            cli = DataCLI(line, command, allowed)
            cli.datamodule.setup("fit")
            if cli.datamodule.fingerprints() in fitted:
                continue
            keep()
            fitted.append(cli.datamodule.fingerprints())
            config = cli.config[cli.config.subcommand]
            records = [
                record
                for seed in (parse_seeds(seeds) if seeds else [config.seed_everything])
                for record in fit_floor(
                    cli.datamodule, config, cli.plain_config(), [*command, "--seeds", str(seed)], seed
                )
            ]
            Console().print(side_by_side(records, f"{records[0]['data']}, {records[0]['rows']['test']:,} test rows"))

    return answer(["floor", *words], fit)


def _lines(path: Path, words: list[str]) -> list[list[str]]:
    """Returns the command line of every row of a published table."""
    paper = read_paper(path)
    return [["floor", *row.words, "--experiment", paper.experiment, *words[1:]] for row in paper.rows]
