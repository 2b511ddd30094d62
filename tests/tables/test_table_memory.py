"""A table from Parquet trains in 2.5 times the memory of its float32 numbers, above the interpreter's own."""

import subprocess
import sys
from pathlib import Path

import numpy
import polars
import pytest

COLUMNS = 32
CHILD = """
import resource, sys
from experiments.__main__ import main
main(sys.argv[1:])
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(folder: Path, rows: int) -> int:
    """Bytes that a run takes at the most."""
    draw = numpy.random.default_rng(0)
    x = draw.standard_normal((COLUMNS, rows), dtype=numpy.float32)
    frame = polars.DataFrame({f"c{index}": column for index, column in enumerate(x)})
    path = folder / f"{rows}.parquet"
    frame.with_columns(label=(x[0] > 0).astype(numpy.int8)).write_parquet(path)
    words = f"fit --data TableData --data.path {path} --data.target label --model LitLinear --data.batch_size 4096"
    more = f"--trainer.max_epochs 1 --trainer.default_root_dir {folder} --figures false --trainer.accelerator cpu"
    command = [sys.executable, "-c", CHILD, *words.split(), *more.split()]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return 1024 * int(printed.rpartition("peak")[2])


@pytest.mark.slow
def test_the_memory_of_a_table_from_parquet(tmp_path: Path) -> None:
    rows = 1_000_000
    own, whole = peak(tmp_path, 2000), peak(tmp_path, rows)
    assert (whole - own) / (rows * COLUMNS * 4) <= 2.5
