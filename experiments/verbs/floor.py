"""``evenhand floor``: classical baselines on the identical split, recorded as runs beside those of the networks."""

from importlib.util import find_spec

from datamodules import DataError
from experiments.cli import DataCLI, answer
from experiments.run.table import side_by_side

HELP = """usage: evenhand floor [-c FILE] [--data CLASS] [--data.SETTING VALUE ...] [--experiment NAME]

Fit what scikit-learn has on the train rows of the same split, test it on the same test rows, and record each as a run:
the majority, logistic regression or ridge, a random forest, histogram gradient boosting; for texts TF-IDF + logistic
regression. It takes the words of fit, of which those of the data, --seed_everything and --experiment count:

  evenhand floor -c experiments/configs/recipes/adult/mlp.yaml

scikit-learn is needed: pip install 'evenhand[sklearn]'."""


def floor(words: list[str]) -> int:
    """Fit and record every baseline, and show them side by side.

    Args:
        words: The command line's, behind ``floor``.
    """
    if {"-h", "--help"} & {*words}:
        print(HELP)
        return 0

    def fit(words: list[str], command: list[str], allowed: list[str]) -> None:
        if find_spec("sklearn") is None:
            raise DataError("the floor is scikit-learn's, which is not installed; pip install 'evenhand[sklearn]'")
        from rich.console import Console

        from experiments.floor.fitting import fit_floor

        cli = DataCLI(words, command, allowed)
        records = fit_floor(cli.datamodule, cli.config[cli.config.subcommand], cli.plain_config(), command)
        Console().print(side_by_side(records, f"{records[0]['data']}, {records[0]['rows']['test']:,} test rows"))

    return answer(["floor", *words], fit)
