"""``evenhand predict``: predicts raw rows with the checkpoint of a run."""

from pathlib import Path

from experiments.cli.arguments import VerbParser, Words, add_shared, has_option
from experiments.terminal import say

EPILOG = """\
  evenhand predict --ckpt_path runs/tabledata/RUN --input new.csv --output predictions.csv

  evenhand predict --ckpt_path runs/tabledata/RUN-seed* --input new.csv

The checkpoint is all that is needed: neither data nor configuration. Columns are found by their names, in
any order; targets need not be there. Rows keep their order and get their number, and the file's name or the
series' id. Rows that cannot be predicted go to OUTPUT.bad.parquet with the reason.

Several runs of the same data predict together: the mean of their probabilities, or of their values.

Without --input the test rows of the run's own data are predicted; the options are then those of fit.

exit codes: 0 every row is in one of the two files, 2 no row can be predicted, or the input does not fit"""

PARSER = VerbParser(
    "predict",
    "Predict raw rows with a trained run.",
    EPILOG,
    "--ckpt_path RUN --input FILE [--output predictions.parquet]",
)
add = PARSER.add_argument
add_shared(PARSER, "ckpt_paths", required=True)
text = (
    "data of the kind that the run was trained on: CSV or Parquet (tables, texts, series in long form, an index "
    "of images), a folder of images or an image, .npz, .npy or IDX, .ts, a folder of .txt files or a .txt file"
)
add("--input", metavar="FILE", required=True, help=text)
text = ".parquet or .csv; predictions.parquet if left out"
add("--output", metavar="FILE", type=Path, default=Path("predictions.parquet"), help=text)
add_shared(PARSER, "device", "trust", "debug")

_ONLY_PATHS = VerbParser("predict", PARSER.summary)
add_shared(_ONLY_PATHS, "ckpt_paths")


def predict(words: Words) -> int:
    """Predicts a file, or the test rows of a run's own data; ``words`` are those behind ``predict``."""
    options = PARSER.parse_args(words) if has_option(words, "--input", "--output", "--device") else None
    if options is None and len(_ONLY_PATHS.parse_known_args(words)[0].ckpt_path or ()) > 1:
        PARSER.error("several runs in --ckpt_path predict the rows of a file; add --input FILE")
    from experiments.cli.entry_point import answer
    from experiments.cli.lightning_cli import run

    if options is None:
        return run(["predict", *words])

    def predict_rows(words: Words, command: list[str], allowed: list[str]) -> None:
        from experiments.inference.predict_file import predict_file
        from experiments.inference.predictor import load

        say(predict_file(load(options.ckpt_path, options.device, options.trust), options.input, options.output))

    return answer(["predict", *words], predict_rows)
