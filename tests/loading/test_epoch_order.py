"""The order of training rows is a function of seed and epoch, and a loader resumes at the very next batch."""

from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint
from tiny_data import QUICK, model_for, quiet_trainer, small_data

from datamodules.loading.tensor_loader import TensorLoader
from lit_models import Schedule
from lit_models.schedules import CosineAnnealingLR

ROWS, BATCH_SIZES = st.integers(1, 40), st.integers(1, 12)
SEEDS, EPOCHS = st.integers(0, 2**64 - 1), st.integers(1, 1000)


def loader(rows: int, batch_size: int, epoch: int = 0, **kwargs: Any) -> TensorLoader:
    made = TensorLoader({"x": torch.arange(rows) * 2.0, "row": torch.arange(rows)}, batch_size, **kwargs)
    made.set_epoch(epoch)
    return made


def rows_of(batches: Any) -> list[list[int]]:
    return [batch["row"].tolist() for batch in batches]


@QUICK
@given(ROWS, BATCH_SIZES, SEEDS, EPOCHS)
def test_a_training_epoch_has_every_row_once(rows: int, batch_size: int, seed: int, epoch: int) -> None:
    training = loader(rows, batch_size, epoch, shuffle=True, seed=seed)
    batches = rows_of(training)
    assert len(training) == len(batches)
    assert all(len(batch) == batch_size for batch in batches[:-1])
    seen = sorted(chain(*batches))
    if rows > 1 and rows % batch_size == 1 and batch_size > 1 and rows > batch_size:
        assert len(set(seen)) == len(seen) == rows - 1  # a last batch of one row is nothing to learn a batch norm from
    else:
        assert seen == list(range(rows))


@QUICK
@given(ROWS, BATCH_SIZES)
def test_an_evaluation_has_every_row_in_order_also_a_last_single_one(rows: int, batch_size: int) -> None:
    evaluation = loader(rows, batch_size)
    batches = rows_of(evaluation)
    assert list(chain(*batches)) == list(range(rows))
    assert len(evaluation) == len(batches)
    assert all(len(batch) == batch_size for batch in batches[:-1])


def test_a_batch_keeps_its_columns_together() -> None:
    for batch in loader(20, 6, shuffle=True):
        assert torch.equal(batch["x"], batch["row"] * 2.0)


@QUICK
@given(SEEDS, EPOCHS)
def test_the_order_is_a_function_of_seed_and_epoch_alone(seed: int, epoch: int) -> None:
    used = loader(30, 7, epoch + 5, shuffle=True, seed=seed)
    list(used)
    used.set_epoch(epoch)
    torch.rand(3)
    first = rows_of(used)
    assert first == rows_of(loader(30, 7, epoch, shuffle=True, seed=seed))
    assert first != rows_of(loader(30, 7, epoch + 1, shuffle=True, seed=seed))
    other_seed = partial(loader, 30, 7, shuffle=True, seed=seed + 1)
    assert first not in (rows_of(other_seed(epoch)), rows_of(other_seed(epoch - 1)))  # no run is another's, an epoch on


def test_the_row_that_is_left_out_is_another_in_every_epoch() -> None:
    training = loader(10, 3, shuffle=True)
    left_out = set()
    for epoch in range(20):
        training.set_epoch(epoch)
        left_out |= set(range(10)) - set(chain(*rows_of(training)))
    assert len(left_out) > 5


@QUICK
@given(ROWS, BATCH_SIZES, SEEDS, EPOCHS, st.data())
def test_a_restored_loader_goes_on_with_the_next_batch(
    rows: int, batch_size: int, seed: int, epoch: int, data: st.DataObject
) -> None:
    interrupted = loader(rows, batch_size, epoch, shuffle=True, seed=seed)
    whole = rows_of(loader(rows, batch_size, epoch, shuffle=True, seed=seed))
    done = data.draw(st.integers(0, len(whole) - 1))
    list(islice(interrupted, done))
    restored = loader(rows, batch_size, shuffle=True, seed=seed + 1)
    restored.load_state_dict(interrupted.state_dict())
    restored.set_epoch(epoch)
    assert rows_of(restored) == whole[done:]
    assert rows_of(restored) == whole  # and only once


@QUICK
@given(ROWS, BATCH_SIZES, SEEDS, EPOCHS, st.data())
def test_an_epoch_after_the_one_that_was_left_begins_at_its_beginning(
    rows: int, batch_size: int, seed: int, epoch: int, data: st.DataObject
) -> None:
    left = loader(rows, batch_size, epoch, shuffle=True, seed=seed)
    list(islice(left, data.draw(st.integers(0, len(left)))))  # limit_train_batches leaves before the end
    restored = loader(rows, batch_size, shuffle=True)
    restored.load_state_dict(left.state_dict())
    expected = rows_of(loader(rows, batch_size, epoch + 1, shuffle=True, seed=seed))
    for one in (left, restored):
        one.set_epoch(epoch + 1)
        assert one.state_dict()["consumed"] == 0
        assert rows_of(one) == expected


@QUICK
@given(ROWS, st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.booleans(), SEEDS)
def test_processes_and_pieces_share_out_the_batches_of_one(
    rows: int, each: int, world_size: int, accumulate: int, shuffle: bool, seed: int
) -> None:
    batch_size = each * world_size * accumulate
    ranks = [
        loader(rows, batch_size, shuffle=shuffle, seed=seed, rank=rank, world_size=world_size, accumulate=accumulate)
        for rank in range(world_size)
    ]
    whole = rows_of(loader(rows, batch_size, shuffle=shuffle, seed=seed))
    dealt = [list(one) for one in ranks]
    pieces = accumulate if shuffle else 1
    assert {len(one) for one in ranks} == {len(share) for share in dealt} == {len(dealt[0])}
    if rows >= world_size:
        assert len(whole) - (-len(dealt[0]) // -pieces) in ((0, 1) if shuffle else (0,))
    for number, batch in enumerate(whole):
        parts = [one for share in dealt for one in share[number * pieces : (number + 1) * pieces]]
        if not parts:
            assert len(batch) < 2 * world_size
            continue
        assert sorted(chain(*(one["row"].tolist() for one in parts))) == sorted(batch)
        if shuffle and rows >= world_size:
            assert all(len(one["row"]) > 1 for one in parts) or len(batch) == batch_size or len(whole) == 1
            # What DDP and the Trainer make of the pieces' means of a value is its mean over the batch.
            means = [one["row"].double().mean() * float(one.get("share", 1.0)) for one in parts]
            assert float(sum(means)) / (world_size * pieces) == pytest.approx(sum(batch) / len(batch), rel=1e-6)


@QUICK
@given(ROWS, st.sampled_from([1, 2, 3, 6]), st.sampled_from([1, 2, 3, 6]), st.integers(0, 20))
def test_an_epoch_goes_on_with_the_same_batch_in_other_pieces(rows: int, before: int, now: int, done: int) -> None:
    left = loader(rows, 6, shuffle=True, accumulate=before)
    for _, _batch in zip(range(min(done, rows // 6) * before), left, strict=False):
        pass
    restored = loader(rows, 6, shuffle=True, accumulate=now)
    restored.load_state_dict(left.state_dict())
    batches = list(chain(*rows_of(loader(rows, 6, shuffle=True))))
    rest = sorted(chain(*rows_of(restored)))
    assert rest == sorted(batches[len(batches) - len(rest) :])
    assert len(batches) - len(rest) in (min(done, rows // 6) * 6, 0)


class Seen(Callback):
    """The rows of every training batch, by epoch."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, list[int]]] = []

    def on_train_batch_start(self, trainer: Any, model: Any, batch: Any, batch_idx: int) -> None:
        self.batches.append((trainer.current_epoch, batch["row"].tolist()))


def fit(seed: int = 0, checkpoint: Path | None = None, callbacks: tuple[Callback, ...] = (), **kwargs: Any) -> list:
    """The batches of a fit of three epochs, seven batches each."""
    pl.seed_everything(seed, verbose=False)
    data = small_data(torch.zeros(60, 2), torch.arange(60) % 3, batch_size=6)
    seen = Seen()
    model = model_for(data, optimizer=partial(torch.optim.SGD, lr=0.1), schedule=Schedule(CosineAnnealingLR, warmup=2))
    trainer = quiet_trainer(max_epochs=3, callbacks=[seen, *callbacks], enable_checkpointing=bool(callbacks), **kwargs)
    trainer.fit(model, data, ckpt_path=checkpoint, weights_only=True)
    return seen.batches


def test_every_epoch_of_a_fit_has_an_order_of_its_own_and_the_seed_repeats_it() -> None:
    batches = fit()
    epochs = [list(chain(*(rows for epoch, rows in batches if epoch == one))) for one in range(3)]
    assert [len(set(epoch)) for epoch in epochs] == [42] * 3
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert {tuple(sorted(epoch)) for epoch in epochs} == {tuple(sorted(epochs[0]))}
    assert fit() == batches
    assert fit(seed=1) != batches


# Lightning then saves in the middle of an epoch, at its end, and at an end that came early.
@pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint.*")
@pytest.mark.parametrize(
    "settings",
    [{}, {"val_check_interval": 3}, {"limit_train_batches": 4}, {"limit_train_batches": 4, "val_check_interval": 2}],
)
def test_a_fit_resumed_from_any_of_its_checkpoints_sees_the_batches_that_were_left(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    saving = [
        ModelCheckpoint(tmp_path, "validation-{step}", save_top_k=-1),
        ModelCheckpoint(tmp_path, "step-{step}", save_top_k=-1, every_n_train_steps=2),
    ]
    whole = fit(callbacks=tuple(saving), **settings)
    checkpoints = sorted(tmp_path.glob("*.ckpt"))
    assert len(checkpoints) >= 9
    for checkpoint in checkpoints:
        done = int(checkpoint.stem.rpartition("=")[2])
        assert fit(checkpoint=checkpoint, **settings) == whole[done:], checkpoint.stem
