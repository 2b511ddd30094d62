"""One-pass statistics beside a plain read of the same rows: time, memory and error.

``make bench-data`` prints a table. Times are the least of several repetitions in one process and one thread (polars
takes two), all ways taking turns, on files in the page cache; memory is the peak of a process of its own.

- read: every value of a memory-mapped array copied into a buffer, 64k rows at a time.
- ours: mean, standard deviation, minimum and maximum of the same file by ``Moments``.
- polars: ``read_parquet`` of the same rows, written by polars with its own settings.
- ours of Parquet: the statistics of that Parquet file, a slice at a time.
- error: of means, in standard deviations, and of standard deviations, relative; the larger one, against numpy's two
  passes in float64.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy
import polars
import torch

from datamodules.preprocessing.running_moments import Moments
from datamodules.streaming.npy_file import DiskArray
from datamodules.streaming.parquet_files import ParquetFiles

FEATURES = 32
REPETITIONS = {100_000: 25, 1_000_000: 11, 10_000_000: 4}


def write(folder: Path, rows: int) -> None:
    """Rows with means far from 0 and spreads of many sizes, as .npy and as Parquet."""
    generator = numpy.random.default_rng(0)
    center = generator.normal(size=FEATURES) * 100
    spread = numpy.exp(generator.normal(size=FEATURES) * 2)
    array = numpy.lib.format.open_memmap(folder / "x.npy", "w+", numpy.float32, (rows, FEATURES))
    for start in range(0, rows, 100_000):
        drawn = generator.standard_normal((min(100_000, rows - start), FEATURES), dtype=numpy.float32)
        array[start : start + len(drawn)] = drawn * spread + center
    array.flush()
    columns = {str(index): numpy.ascontiguousarray(array[:, index]) for index in range(FEATURES)}
    polars.DataFrame(columns).write_parquet(folder / "x.parquet")


def read(folder: Path) -> None:
    """A plain sequential read of a memory-mapped array."""
    array = numpy.load(folder / "x.npy", mmap_mode="r")
    room = numpy.empty((1 << 16, FEATURES), numpy.float32)
    for start in range(0, len(array), len(room)):
        piece = array[start : start + len(room)]
        numpy.copyto(room[: len(piece)], piece)


def ours(folder: Path) -> Moments:
    """Statistics of the .npy file."""
    moments = Moments(FEATURES)
    for piece in DiskArray(folder / "x.npy").pieces(1 << 16):
        moments.update(piece)
    return moments


def parquet(folder: Path) -> Moments:
    """Statistics of the Parquet file."""
    moments = Moments(FEATURES)
    files = ParquetFiles(str(folder / "x.parquet"))
    for frame in files.pieces(files.columns, 1 << 16):
        moments.update(torch.from_numpy(frame.to_numpy()))
    return moments


def read_polars(folder: Path) -> None:
    """Reads the Parquet file into memory with polars."""
    polars.read_parquet(folder / "x.parquet")


def error(folder: Path) -> float:
    """Returns the largest error of means and standard deviations against float64."""
    array = numpy.load(folder / "x.npy", mmap_mode="r")
    found = ours(folder)
    worst = 0.0
    for index in range(FEATURES):
        column = array[:, index].astype(numpy.float64)
        mean, std = column.mean(), column.std()
        worst = max(worst, abs(float(found.mean[index]) - mean) / std, abs(float(found.std[index]) / std - 1))
    return worst


READERS: dict[str, Callable[[Path], object]] = {"read": read, "ours": ours, "polars": read_polars, "parquet": parquet}


def seconds(reader: str, folder: Path) -> float:
    """Returns the seconds that a reader takes."""
    began = time.perf_counter()
    READERS[reader](folder)
    return time.perf_counter() - began


def peak(folder: Path) -> float:
    """Returns the MiB that our statistics add to a new process that has already computed them of few rows."""
    words = [sys.executable, __file__, str(folder)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return float(done.stdout)


def added(folder: Path) -> float:
    """Returns the MiB that our statistics add to this process, which first computes them of few rows."""
    with TemporaryDirectory(dir=folder) as few:
        write(Path(few), 2000)
        ours(Path(few))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ours(folder)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print("      rows    read s    ours s  x read  polars s  x polars  Parquet s  x polars  MiB    error")
    for rows, repetitions in REPETITIONS.items():
        with TemporaryDirectory(prefix="evenhand-bench-") as name:
            folder = Path(name)
            write(folder, rows)
            runs = [{reader: seconds(reader, folder) for reader in READERS} for _ in range(repetitions)]
            least = {reader: min(run[reader] for run in runs) for reader in READERS}
            print(
                f"{rows:10,} {least['read']:9.4f} {least['ours']:9.4f} {least['ours'] / least['read']:7.2f} "
                f"{least['polars']:9.4f} {least['ours'] / least['polars']:9.2f} {least['parquet']:10.4f} "
                f"{least['parquet'] / least['polars']:9.2f} {peak(folder):4.0f} {error(folder):8.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main() if len(sys.argv) == 1 else print(added(Path(sys.argv[1])))
