"""Positions of batches in an epoch, their random numbers and their shares, on examples computed by hand."""

from typing import Any

import pytest
import torch

from datamodules.loading import tensor_loader
from datamodules.loading.epoch_order import balanced_order, generator
from datamodules.loading.tensor_loader import TensorLoader

Batch = dict[str, torch.Tensor]


def loader(rows: int, batch_size: int, **kwargs: Any) -> TensorLoader:
    return TensorLoader({"x": torch.arange(rows) * 2.0, "row": torch.arange(rows)}, batch_size, **kwargs)


class Draws:
    """Transform that adds its random numbers to a batch."""

    draws = 2

    def __call__(self, batch: Batch, uniform: torch.Tensor) -> Batch:
        return {**batch, "drawn": uniform}


# Random numbers


def test_a_seed_is_a_function_of_whole_numbers() -> None:
    assert generator(7).initial_seed() == 7
    assert generator(3, 5).initial_seed() == 3 * 1_000_003 + 5
    assert generator(3, 5, -1).initial_seed() == (3 * 1_000_003 + 5) * 1_000_003 - 1
    assert generator(5 * 2**61, 1).initial_seed() == (5 * 2**61 * 1_000_003 + 1) % 2**63


def test_an_epoch_is_a_permutation_by_its_seed() -> None:
    training = loader(10, 10, shuffle=True, seed=4)
    for epoch in (0, 3):
        training.set_epoch(epoch)
        (batch,) = training
        drawn = torch.Generator().manual_seed(4 * 1_000_003 + epoch)
        assert torch.equal(batch["row"], torch.randperm(10, generator=drawn))


@pytest.mark.parametrize(("world_size", "accumulate"), [(1, 1), (2, 1), (1, 2), (2, 3)])
def test_a_row_has_the_random_numbers_of_its_batch_and_position(world_size: int, accumulate: int) -> None:
    """Batch ``number`` has the seed (seed, epoch, 1 + number), on any number of processes."""
    drawn: dict[int, list[float]] = {}
    for rank in range(world_size):
        training = loader(
            30, 12, shuffle=True, seed=4, rank=rank, world_size=world_size, accumulate=accumulate, transform=Draws()
        )
        training.set_epoch(2)
        for batch in training:
            drawn |= dict(zip(batch["row"].tolist(), batch["drawn"].tolist(), strict=True))
    order = torch.randperm(30, generator=generator(4, 2)).tolist()
    expected = torch.cat([torch.rand(12, 2, generator=generator(4, 2, 1 + number)) for number in range(3)])
    assert drawn == dict(zip(order, expected[:30].tolist(), strict=True))


# Positions


def test_a_new_loader_is_at_the_beginning() -> None:
    assert loader(10, 3).state_dict() == {"seed": 0, "epoch": 0, "consumed": 0, "accumulate": 1}
    assert loader(10, 4, shuffle=True, accumulate=2).state_dict()["accumulate"] == 2
    assert loader(10, 4, accumulate=2).state_dict()["accumulate"] == 1  # an evaluation accumulates nothing


def test_the_state_counts_the_batches_of_an_epoch_and_is_0_at_its_end() -> None:
    evaluation = loader(10, 3)
    consumed = [evaluation.state_dict()["consumed"] for _ in evaluation]
    assert consumed == [1, 2, 3, 0]
    assert loader(0, 3).state_dict()["consumed"] == 0
    evaluation = loader(3, 3)
    assert len(list(evaluation)) == len(list(evaluation)) == 1
    assert evaluation.state_dict()["consumed"] == 0


def test_a_position_of_another_number_of_pieces_is_the_start_of_its_batch() -> None:
    state = {"seed": 4, "epoch": 2, "consumed": 5}
    for before, now, consumed in ((None, 1, 5), (None, 3, 15), (2, 2, 5), (2, 1, 2), (2, 3, 6), (3, 2, 2)):
        restored = loader(60, 6, shuffle=True, accumulate=now)
        restored.load_state_dict(state if before is None else {**state, "accumulate": before})
        expected = {"seed": 4, "epoch": 2, "consumed": consumed, "accumulate": now}
        assert restored.state_dict() == expected


def test_an_epoch_that_is_set_again_goes_on() -> None:
    training = loader(9, 3, shuffle=True, seed=4)
    training.load_state_dict({"seed": 4, "epoch": 2, "consumed": 1, "accumulate": 1})
    training.set_epoch(2)
    assert len(list(training)) == 2
    training.load_state_dict({"seed": 4, "epoch": 2, "consumed": 1, "accumulate": 1})
    training.set_epoch(3)
    assert training.state_dict() == {"seed": 4, "epoch": 3, "consumed": 0, "accumulate": 1}
    assert len(list(training)) == 3
    assert len({training, loader(9, 3), loader(9, 3)}) == 3  # loaders are told apart by identity


@pytest.mark.parametrize(
    ("rows", "options", "batches"),
    [
        (0, {}, 0),
        (1, {}, 1),
        (12, {}, 2),
        (13, {}, 3),
        (13, {"shuffle": True}, 2),  # a last batch of one row is left out
        (14, {"shuffle": True}, 3),
        (1, {"shuffle": True}, 1),  # an only one is not
        (6, {"shuffle": True}, 1),
        (15, {"shuffle": True, "world_size": 2}, 2),  # one row for a process
        (16, {"shuffle": True, "world_size": 2}, 3),
        (2, {"shuffle": True, "world_size": 2}, 1),
        (1, {"shuffle": True, "world_size": 2}, 0),
        (12, {"shuffle": True, "accumulate": 3}, 6),
        (14, {"shuffle": True, "accumulate": 3}, 7),  # a piece has two rows for a process
        (16, {"shuffle": True, "accumulate": 3}, 8),
        (17, {"shuffle": True, "accumulate": 3}, 8),
        (16, {"shuffle": True, "accumulate": 3, "world_size": 2}, 7),
        (5, {"shuffle": True, "accumulate": 3}, 2),
    ],
)
def test_the_number_of_batches(rows: int, options: dict[str, Any], batches: int) -> None:
    each = [loader(rows, 6, rank=rank, **options) for rank in range(options.get("world_size", 1))]
    assert [len(one) for one in each] == [len(list(one)) for one in each] == [batches] * len(each)


def test_a_piece_that_is_smaller_than_its_part_has_a_share() -> None:
    """Of a last batch of 5 rows two processes have 3 and 2: the mean of 2 * 3 / 5 and 2 * 2 / 5 of their means."""
    for rank, share in ((0, 6 / 5), (1, 4 / 5)):
        first, last = loader(11, 6, shuffle=True, rank=rank, world_size=2)
        assert "share" not in first
        assert last["share"].item() == pytest.approx(share)
    # Of 5 rows in two pieces the first has 2 rows and the second 3.
    *_, first, second = loader(11, 6, shuffle=True, accumulate=2)
    assert [len(first["row"]), len(second["row"])] == [2, 3]
    assert [first["share"].item(), second["share"].item()] == pytest.approx([4 / 5, 6 / 5])
    assert not any("share" in batch for batch in loader(11, 6))


# Windows


@pytest.mark.parametrize(("size", "batches"), [(0, 1), (11, 1), (71, 1), (72, 1), (143, 1), (144, 2), (216, 3)])
def test_coming_batches_are_selected_at_once(size: int, batches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of 6 rows of 12 bytes has 72: as many as fit, and one at least."""
    monkeypatch.setattr(tensor_loader, "WINDOW_BYTES", size)
    found = list(loader(33, 6, shuffle=True))
    order = torch.randperm(33, generator=generator(0, 0)).tolist()
    assert [batch["row"].tolist() for batch in found] == [order[first : first + 6] for first in range(0, 33, 6)]
    windows = [batch["row"].untyped_storage().data_ptr() for batch in found]
    assert [windows.index(window) for window in windows] == [index // batches * batches for index in range(6)]


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_divide_the_batches_of_a_window(world_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    order = torch.randperm(34, generator=generator(0, 0)).tolist()
    for size in (72, 144, 1 << 22):
        monkeypatch.setattr(tensor_loader, "WINDOW_BYTES", size)
        for rank in range(world_size):
            found = loader(34, 6, shuffle=True, rank=rank, world_size=world_size)
            rows = [batch["row"].tolist() for batch in found]
            whole = [order[first : first + 6] for first in range(0, 34, 6)]
            assert rows == [batch[rank::world_size] for batch in whole[: len(rows)]]
            assert all(torch.equal(batch["x"], batch["row"] * 2.0) for batch in found)


@pytest.mark.parametrize("batch_size", [5, 7, 8])
def test_an_evaluation_need_not_divide_its_batches(batch_size: int) -> None:
    for world_size in (2, 3, 4):
        for rank in range(world_size):
            found = loader(41, batch_size, rank=rank, world_size=world_size)
            whole = [list(range(first, min(first + batch_size, 41))) for first in range(0, 41, batch_size)]
            assert [batch["row"].tolist() for batch in found] == [rows[rank::world_size] for rows in whole]


def test_an_empty_batch_has_its_columns() -> None:
    *_, last = loader(7, 6, rank=1, world_size=2)
    assert {name: len(column) for name, column in last.items()} == {"x": 0, "row": 0}


def test_series_are_as_long_as_the_longest_of_all_processes() -> None:
    lengths = torch.tensor([1, 3, 2, 1, 1, 5])
    tensors = {"x": torch.arange(36.0).view(6, 1, 6), "lengths": lengths, "row": torch.arange(6)}
    for rank in (0, 1):
        found = list(TensorLoader(tensors, 2, rank=rank, world_size=2))
        assert [batch["x"].shape for batch in found] == [(1, 1, 3), (1, 1, 2), (1, 1, 5)]
        assert [batch["row"].tolist() for batch in found] == [[rank], [2 + rank], [4 + rank]]
        assert all(torch.equal(batch["x"], tensors["x"][batch["row"], :, : batch["x"].shape[2]]) for batch in found)


# Classes


@pytest.mark.parametrize("counts", [[5, 2, 3], [1, 1], [7, 1, 1, 4], [4, 4, 3]])
def test_classes_are_drawn_equally_often_over_as_many_epochs(counts: list[int]) -> None:
    labels = torch.tensor([label for label, count in enumerate(counts) for _ in range(count)])
    orders = torch.cat([balanced_order(labels, 3, epoch) for epoch in range(len(counts))])
    assert labels[orders].bincount().tolist() == [len(labels)] * len(counts)


def test_a_class_is_drawn_in_shuffled_rounds() -> None:
    """Each epoch draws 4 of 8 rows of class 0, and both rows of class 1 twice; a round has the seed of its number."""
    labels = torch.tensor([0] * 6 + [1] * 2)
    rounds = [torch.randperm(6, generator=generator(3, 0, number)) for number in range(2)]
    drawn = torch.cat(rounds)
    for epoch in range(3):
        order = balanced_order(labels, 3, epoch)
        assert sorted(order[labels[order] == 0].tolist()) == sorted(drawn[4 * epoch : 4 * epoch + 4].tolist())
        assert sorted(order[labels[order] == 1].tolist()) == [6, 6, 7, 7]
    positions = torch.randperm(8, generator=generator(3, 0))
    second = [torch.randperm(2, generator=generator(3, 1, number)) + 6 for number in range(2)]
    assert torch.equal(balanced_order(labels, 3, 0), torch.cat([drawn[:4], *second])[positions])
