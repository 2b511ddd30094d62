"""Prediction of a file of any size into another file, which is complete or absent."""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import polars

from datamodules import DataError
from datamodules.progress import PATIENCE
from experiments.inference.predictor import Predictor

PART = 2**23
"""Cells that are buffered in memory before they are written."""

ENDINGS = (".parquet", ".csv")


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


def check_output(path: Path, source: str) -> None:
    """Raises ``DataError`` for a file that cannot be written, or that is the source."""
    if path.suffix not in ENDINGS:
        raise DataError(f"--output {path} ends in neither .parquet nor .csv; choose one of them")
    if not path.parent.is_dir():
        raise DataError(f"--output {path}: there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise DataError(f"--output {path} is a folder; name a file")
    if path.exists() and Path(source).exists() and path.samefile(source):
        raise DataError(f"--output {path} is the input; choose another file")


class PartFile:
    """File (.parquet or .csv) of rows that are added frame by frame; it appears once they are committed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._held: list[polars.DataFrame] = []
        self._parts: list[Path] = []

    def __enter__(self) -> "PartFile":
        with self._reported():
            self._folder = TemporaryDirectory(prefix=f".{self.path.name}.", dir=self.path.parent)
        return self

    def __exit__(self, *error: object) -> None:
        self._folder.cleanup()

    def add(self, frame: polars.DataFrame) -> None:
        """Appends rows."""
        self.rows += len(frame)
        self._held.append(frame)
        if sum(held.height * held.width for held in self._held) >= PART:
            self._write()

    def commit(self) -> None:
        """Writes the file of all rows; raises ``DataError`` if it cannot be written, as on a full disk."""
        if self._held:
            self._write()
        whole = self._parts[0]
        with self._reported():
            if len(self._parts) > 1:
                whole = Path(self._folder.name) / "whole"
                polars.scan_parquet(self._parts, glob=False).sink_parquet(whole)
            os.replace(whole, self.path)

    def _write(self) -> None:
        frame, self._held = polars.concat(self._held), []
        is_csv = self.path.suffix == ".csv"
        with self._reported():
            if is_csv and self._parts:  # one file, since parts of CSV need not be read again
                with open(self._parts[0], "ab") as file:
                    frame.write_csv(file, include_header=False)
                return
            self._parts.append(Path(self._folder.name) / f"{len(self._parts):06}")
            (frame.write_csv if is_csv else frame.write_parquet)(self._parts[-1])

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except (OSError, polars.exceptions.PolarsError) as error:
            reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
            raise DataError(f"{self.path} cannot be written: {reason}; make room or choose another --output") from error
