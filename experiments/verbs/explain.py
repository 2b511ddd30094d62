"""``evenhand explain``: shows which features a trained run needs, by permuting each."""

from pathlib import Path

from experiments.cli.arguments import VerbParser, Words, add_shared

EPILOG = """\
  evenhand explain --ckpt_path runs/tabledata/RUN
  evenhand explain --ckpt_path runs/tabledata/RUN-seed* --output importance

Permutation importance: how much worse the metric that ranks runs gets when a feature is permuted over rows.
Features are the columns of a table, the channels of series and windows of their steps, patches of images, and the
tokens that most texts have, which the unknown token replaces.

Rows are those of validation. --split test looks at test rows, and is written into the ledger of looks.
importance.csv and importance.png are written, of images with a map of their patches. The interval of the mean is over
these rows, and over the permutations of one run or over several runs of the same data.

exit codes: 0 explained, 2 no run, or its data cannot be read or are other ones now"""

PARSER = VerbParser(
    "explain",
    "Show which features a trained run needs, by permuting each.",
    EPILOG,
    "--ckpt_path RUN [RUN ...] [--split val|test] [--repeats 10] [--seed 0] [--output FOLDER]",
)
add = PARSER.add_argument
text = "a run's folder, of which the best checkpoint is taken, or a checkpoint; several of the same data are averaged"
add_shared(PARSER, "ckpt_paths", required=True, help=text)
add("--split", choices=["val", "test"], default="val", help="rows to explain on; val")
add("--repeats", type=int, metavar="N", default=10, help="permutations of each feature, in each run; 10")
add("--seed", type=int, metavar="S", default=0, help="seed of the permutations, not negative; 0")
text = "folder of importance.csv and importance.png; that of the run if left out, and needed for several"
add("--output", metavar="FOLDER", type=Path, help=text)
add_shared(PARSER, "device", "trust", "debug")


def explain(words: Words) -> int:
    """Prints and writes the importance of features; ``words`` are those behind ``explain``."""
    options = PARSER.parse_args(words)
    if options.repeats < 1:
        PARSER.error(f"--repeats must be at least 1, and it is {options.repeats}")
    if options.seed < 0:
        PARSER.error(f"--seed must be at least 0, and it is {options.seed}")
    if len(options.ckpt_path) > 1 and options.output is None:
        PARSER.error("several runs have no one folder to write into; add --output FOLDER")
    from experiments.cli.entry_point import answer

    def show(words: Words, command: list[str], allowed: list[str]) -> None:
        from experiments.compare.table_formats import to_terminal
        from experiments.explain.explain_progress import ExplainProgress
        from experiments.explain.explained_run import read_runs
        from experiments.explain.importance_report import sheet_of, write_files
        from experiments.explain.permutation_importance import count_permutations, explain
        from experiments.terminal import say
        from lit_models import ConfigError

        runs = read_runs(options.ckpt_path, options.split, options.device, options.trust)
        folder = options.output or runs[0].folder
        if folder is None:
            raise ConfigError(f"{options.ckpt_path[0]} is in no run's folder; add --output FOLDER")
        with ExplainProgress(count_permutations(runs, options.repeats)) as progress:
            explained = explain(runs, options.repeats, options.seed, progress.advance)
        to_terminal(sheet_of(explained, runs, options.split))
        say("\n".join(write_files(explained, runs, options.split, folder)))

    return answer(["explain", *words], show)
