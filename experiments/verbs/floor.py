"""``evenhand floor``: fits classical baselines on the same split, each recorded as a run."""

from importlib.util import find_spec
from pathlib import Path

from experiments.cli.arguments import VerbParser, Words

EPILOG = """\
The baselines: majority, logistic regression or ridge, random forest, histogram gradient boosting; for series random
convolution kernels with ridge regression too; for texts TF-IDF with logistic regression. The validation rows stop
gradient boosting early, after at most 1,000 iterations at rate .05. All other words are those of fit, of which those
of the data, --seed_everything and --experiment count.

  evenhand floor -c experiments/configs/recipes/adult/mlp.yaml --seeds 0..4
  evenhand floor --paper experiments/configs/papers/adult.yaml

scikit-learn is needed: pip install '.[sklearn]' in the checkout"""

PARSER = VerbParser(
    "floor",
    "Fit classical baselines on the same split.\n\nEach is tested on the test rows and recorded as a run.",
    EPILOG,
    "[-c FILE] [--data CLASS] [--data.SETTING VALUE ...] [--seeds 0..4] [--paper FILE]",
)
add = PARSER.add_argument
add(
    "--seeds",
    nargs="+",
    metavar="SEED",
    help="seeds of the baselines that draw random numbers: 0..4, or 0,1,2, or 0 1 2",
)
text = "a published table: its data sets, each once, into the folder of its runs"
add("--paper", type=Path, metavar="FILE", help=text)


def floor(words: Words) -> int:
    """Fits and records every baseline, and prints their table; ``words`` are those behind ``floor``."""
    options, words = PARSER.parse_known_args(words)
    from datamodules import DataError
    from experiments.cli.entry_point import answer

    def fit(words: Words, command: list[str], allowed: list[str]) -> None:
        if find_spec("sklearn") is None:
            raise DataError("evenhand floor needs scikit-learn; pip install '.[sklearn]' in the checkout")
        from experiments import safe_yaml
        from experiments.cli.fit_parser import fit_parser, load_data
        from experiments.compare.published_table_file import read_paper
        from experiments.compare.summary_table import side_by_side
        from experiments.compare.table_formats import to_terminal
        from experiments.floor.fit_floor import fit_floor
        from experiments.run.cpu_speed import keep_freed_memory
        from experiments.sweep.grid import parse_seeds

        lines, fitted = [words], list[dict[str, str]]()
        if options.paper is not None:  # a line for each row of the published table
            paper = read_paper(options.paper)
            lines = [["floor", *row.words, "--experiment", paper.experiment, *words[1:]] for row in paper.rows]
        for line in lines:
            config, data = load_data(line)
            data.setup("fit")
            if data.fingerprints() in fitted:
                continue
            keep_freed_memory()
            fitted.append(data.fingerprints())
            plain = safe_yaml.load(fit_parser().dump(config, skip_none=False))
            seeds = parse_seeds(options.seeds) if options.seeds else [config.seed_everything]
            records = fit_floor(data, config, plain, command, seeds)
            to_terminal(side_by_side(records, f"{records[0]['data']}, {records[0]['rows']['test']:,} test rows"))

    return answer(["floor", *words], fit)
