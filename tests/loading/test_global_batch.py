"""A global batch divides over devices and accumulated batches, or two that do are named."""

import re

import pytest
import torch

from datamodules import DataError
from datamodules.loading.global_batch import (
    accumulated_by,
    check_batch,
    check_processes,
    device_of,
    order_options,
    process_of,
)


@pytest.mark.parametrize(
    ("batch_size", "devices", "accumulated", "choice"),
    [(10, 4, 1, "8 or 12, a multiple of 4"), (3, 2, 2, "4, a multiple of 4"), (13, 2, 3, "12 or 18, a multiple of 6")],
)
def test_batches_that_divide_are_named(batch_size: int, devices: int, accumulated: int, choice: str) -> None:
    parts = f"{devices} devices times {accumulated} accumulated batches"
    with pytest.raises(DataError, match=re.escape(f"{batch_size} is that of {parts} together; choose {choice}")):
        check_batch(batch_size, devices, accumulated)
    check_batch(devices * accumulated, devices, accumulated)
    check_batch(5 * devices * accumulated, devices, accumulated)


def test_every_process_has_a_train_row() -> None:
    check_processes(2, 2)
    with pytest.raises(DataError, match="1 train rows are too few for 2 processes"):
        check_processes(1, 2)


def test_without_a_trainer_there_is_one_process_on_the_cpu() -> None:
    torch.manual_seed(12)
    assert (process_of(None), accumulated_by(None), device_of(None)) == ((0, 1), 1, torch.device("cpu"))
    assert order_options(None, shuffle=False) == {"rank": 0, "world_size": 1}
    training = {"shuffle": True, "seed": 12, "accumulate": 1}
    assert order_options(None, shuffle=True) == {"rank": 0, "world_size": 1, **training}
