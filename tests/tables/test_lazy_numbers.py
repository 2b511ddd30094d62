"""Numbers of a table are taken in pieces, and copies are found by hashes: nothing but memory depends on it."""

import numpy
import polars
import torch

from datamodules.raw_data import digest, first_equal
from datamodules.tables.lazy_numbers import CELLS, Numbers


def test_numbers_are_those_of_the_frame_however_they_are_asked_for() -> None:
    rows = CELLS + 5
    whole = numpy.random.default_rng(0).standard_normal((rows, 3)).astype(numpy.float32)
    whole[7, 1] = numpy.nan
    frame = polars.concat([polars.DataFrame(part, schema=["a", "b", "c"]) for part in numpy.array_split(whole, 4)])
    numbers, wanted = Numbers(frame.fill_nan(None).get_columns(), rows), torch.from_numpy(whole).double()
    assert torch.equal(numbers[:].nan_to_num(9e9), wanted.nan_to_num(9e9))
    picked = torch.tensor([rows - 1, 7, 7, 0])
    assert torch.equal(numbers[picked, 1:].nan_to_num(9e9), wanted[picked, 1:].nan_to_num(9e9))
    assert digest(numbers) == digest(wanted)


def test_copies_are_the_rows_that_are_equal_in_all_columns() -> None:
    frame = polars.DataFrame({"x": [0.0, 1.0, -0.0, None, None, 1.0, 2.0], "y": ["a", "b", "a", "c", "c", "c", None]})
    assert first_equal(frame).tolist() == [0, 1, 0, 3, 3, 5, 6]
