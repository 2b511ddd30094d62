"""``evenhand predict``: raw rows in, predictions out, with a run's checkpoint and nothing else."""

import argparse
from pathlib import Path

HELP = """usage: evenhand predict --ckpt_path RUN --input FILE [--output predictions.parquet]

Predict raw rows with a trained run. Its checkpoint is all that is needed: neither data nor configuration.

  evenhand predict --ckpt_path runs/tabledata/RUN --input new.csv --output predictions.csv

  --ckpt_path RUN   the run's folder, of which the best checkpoint is taken, or a checkpoint
  --input FILE      what the run's data were: CSV or Parquet (tables, texts, series in long form, an index of images),
                    a folder of images or one image, .npz, .npy or IDX, .ts, a folder of .txt files or one
  --output FILE     .parquet or .csv; predictions.parquet where it is left out
  --device DEVICE   auto, cpu or cuda; auto takes a CUDA device where there is one
  --trust PACKAGE   a package of yours that the run names classes of

Columns are found by their names, in any order; targets need not be there. Rows keep their order and get their number,
and the file's name or the series' id. Rows that cannot be predicted go to OUTPUT.bad.parquet with the reason.

Exit codes: 0 every row is in one of the two files; 2 no row can be predicted, or the input does not fit.

Without --input the test rows of the run's own data are predicted; it then takes the words of fit."""

OWN = ("--input", "--output", "--device")


def predict(words: list[str]) -> int:
    """Predict a file, or the test rows of a run's own data.

    Args:
        words: The command line's, behind ``predict``.

    Raises:
        SystemExit: As ``experiments.cli.entry_point.answer`` does.
    """
    if {"-h", "--help"} & {*words}:
        print(HELP)
        return 0
    parser = argparse.ArgumentParser("evenhand predict", allow_abbrev=False, usage=HELP.partition("\n")[0][7:])
    parser.add_argument("--ckpt_path", required=True)
    parser.add_argument("--input", required=True)
    parser.add_argument("--output", type=Path, default=Path("predictions.parquet"))
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--trust", action="append", default=[])
    parser.add_argument("--debug", action="store_true")
    for_file = any(word.partition("=")[0] in OWN for word in words)
    typed = parser.parse_args(words) if for_file else None
    from experiments.cli.entry_point import answer
    from experiments.cli.lightning_cli import run

    if typed is None:
        return run(["predict", *words])

    def do(words: list[str], command: list[str], allowed: list[str]) -> None:
        from experiments.inference.predict_file import predict_file
        from experiments.inference.predictor import load
        from experiments.terminal import say

        say(predict_file(load(typed.ckpt_path, typed.device, typed.trust), typed.input, typed.output))

    return answer(["predict", *words], do)
