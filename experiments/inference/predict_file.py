"""Prediction of a file of any size into another file."""

import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from datamodules import DataError
from datamodules.progress import PATIENCE
from experiments.inference.predictor import Predictor
from experiments.inference.table_writer import PartFile, check_output


def predict_file(predictor: Predictor, source: str, output: Path) -> str:
    """Writes the predictions of a file or folder; returns lines for the terminal; after an error nothing is written.

    Rows that cannot be predicted are written beside the output, with ``.bad`` in the name. Raises ``DataError`` for a
    source that does not fit, or of which no row can be predicted.
    """
    check_output(output, source)
    beside = output.with_name(f"{output.stem}.bad{output.suffix}")
    counts: Counter[str] = Counter()
    notes: dict[str, None] = {}
    began = time.monotonic()
    shown = False
    with ExitStack() as files:
        good, bad = files.enter_context(PartFile(output)), files.enter_context(PartFile(beside))
        for predicted in predictor.chunks(source):
            good.add(predicted.rows)
            bad.add(predicted.bad)
            counts += predicted.counts
            notes |= dict.fromkeys(predicted.notes)
            if time.monotonic() - began > PATIENCE and sys.stderr.isatty():
                shown = True
                print(f"\r{good.rows + bad.rows:,} rows, {predicted.done:.0%}", end="", file=sys.stderr, flush=True)
        if shown:
            print(f"\r{' ' * 60}\r", end="", file=sys.stderr, flush=True)
        if not good.rows + bad.rows:
            raise DataError(f"{source} has no rows")
        if bad.rows:
            bad.commit()
        else:
            beside.unlink(missing_ok=True)  # of an earlier prediction of other rows
        if not good.rows:
            raise DataError(f"none of the {bad.rows:,} rows of {source} can be predicted; {beside} says why")
        good.commit()
    lines = [f"note: {note}" for note in notes]
    lines += [f"note: {note}: {count:,} of {good.rows:,} rows" for note, count in counts.items()]
    left_out = f"; {bad.rows:,} more could not be, see {beside}" if bad.rows else ""
    return "\n".join([*lines, f"{good.rows:,} rows predicted: {output}{left_out}"])
