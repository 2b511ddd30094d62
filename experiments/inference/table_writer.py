"""Writer of a table of any size, whose file is complete or absent."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

import polars

from datamodules import DataError

PART = 2**23
"""Cells that are buffered in memory before they are written."""

ENDINGS = (".parquet", ".csv")


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
        try:
            self._folder = TemporaryDirectory(prefix=f".{self.path.name}.", dir=self.path.parent)
        except OSError as error:
            raise DataError(f"{self.path} cannot be written: {error.strerror}; choose another --output") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
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
        try:
            if self.path.suffix == ".parquet" and len(self._parts) > 1:
                whole = self._file("whole")
                polars.scan_parquet(self._parts, glob=False).sink_parquet(whole)
            os.replace(whole, self.path)
        except (OSError, polars.exceptions.PolarsError) as error:
            raise self._unwritten(error) from error

    def _write(self) -> None:
        frame, self._held = polars.concat(self._held), []
        try:
            if self.path.suffix == ".parquet":
                self._parts.append(self._file(f"{len(self._parts):06}.parquet"))
                frame.write_parquet(self._parts[-1])
            else:
                first = not self._parts
                self._parts = [self._file("whole")]
                with open(self._parts[0], "ab") as file:
                    frame.write_csv(file, include_header=first)
        except (OSError, polars.exceptions.PolarsError) as error:
            raise self._unwritten(error) from error

    def _file(self, name: str) -> Path:
        return Path(self._folder.name) / name

    def _unwritten(self, error: Exception) -> DataError:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        return DataError(f"{self.path} cannot be written: {reason}; make room or choose another --output")
