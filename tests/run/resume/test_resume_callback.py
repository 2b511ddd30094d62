"""The callback of exact resume in one process: each entry of a checkpoint, and what is restored of it."""

import os
import random
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping, GradientAccumulationScheduler, ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn
from tiny_data import model_for, quiet_trainer, small_data
from torch import distributed
from torch.utils.data import DataLoader

from experiments.run.record.config_diff import Changes
from experiments.run.resume.exact_state import KEY, Resume, adapt, inexact, part_ways, rng_state, set_rng_state
from lit_models import LitMLP
from lit_models.schedules import Schedule
from lit_models.schedules.schedulers import ReduceLROnPlateau

EPOCHS, BATCHES = 4, 4


class Save(Callback):
    """Saves at every moment into a folder, and keeps the entries of resume."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.entries: dict[str, dict[str, Any]] = {}

    def _at(self, name: str, trainer: Trainer) -> None:
        if self.folder is not None:
            path = self.folder / f"{name} {trainer.global_step}.ckpt"
            trainer.save_checkpoint(path)
            self.entries[path.stem] = torch.load(path, weights_only=False)[KEY]

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self._at("step", trainer)

    def on_validation_start(self, trainer: Trainer, *_: Any) -> None:
        self._at("validating", trainer)

    def on_validation_end(self, trainer: Trainer, *_: Any) -> None:
        self._at("validation", trainer)

    def on_train_epoch_end(self, trainer: Trainer, *_: Any) -> None:
        self._at("epoch", trainer)

    def on_train_epoch_start(self, trainer: Trainer, *_: Any) -> None:
        self._at("start", trainer)


def fit(save: Save, start: Path | None = None, plain: bool = False) -> dict[str, Any]:
    """Trains from the start or a checkpoint; returns the weights, the rate and the next numbers of the generators."""
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    data = small_data(x, torch.arange(40) % 2, batch_size=7)
    torch.manual_seed(1)
    random.seed(1)
    if start is not None:  # a resumed run has drawn other numbers until its generators are restored
        numbers()
    if plain:
        data.setup("fit")
        columns = data.part("train")
        rows = [{name: column[index] for name, column in columns.items()} for index in range(28)]
        order = torch.Generator().manual_seed(0 if start is None else 5)
        data.train_dataloader = lambda: DataLoader(rows, 7, shuffle=True, generator=order)
    plateau = partial(ReduceLROnPlateau, patience=0, threshold=0.5, mode="min")
    model = model_for(data, LitMLP, hidden=[4], dropout=0.3, schedule=Schedule(plateau, frequency=2))
    trainer = quiet_trainer(max_epochs=EPOCHS, callbacks=[Resume(Changes()), save], val_check_interval=2)
    trainer.fit(model, data, ckpt_path=start and str(start), weights_only=False)
    assert trainer.global_step == EPOCHS * BATCHES
    rate = torch.tensor(trainer.optimizers[0].param_groups[0]["lr"])
    return {**model.state_dict(), "rate": rate, "torch": torch.rand(1), "python": torch.tensor(random.random())}


Whole = tuple[dict[str, Any], Save]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Returns the results of an uninterrupted run, and its checkpoints."""
    save = Save(tmp_path_factory.mktemp("whole"))
    return fit(save), save


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Returns those of a run with a DataLoader of torch."""
    save = Save(tmp_path_factory.mktemp("plain"))
    return fit(save, plain=True), save


def check(run: Whole, moment: str, plain: bool = False) -> None:
    expected, save = run
    assert save.folder is not None
    found = fit(Save(), save.folder / f"{moment}.ckpt", plain)
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


@pytest.mark.parametrize(
    "moment", ["step 1", "step 7", "validation 2", "validation 6", "start 4", "start 12", "epoch 4", "epoch 8"]
)
def test_a_resumed_run_ends_as_the_uninterrupted_one(whole: Whole, moment: str) -> None:
    check(whole, moment)


@pytest.mark.parametrize("moment", ["start 4", "epoch 8"])
def test_a_loader_of_torch_goes_on_with_its_order(plain: Whole, moment: str) -> None:
    check(plain, moment, plain=True)
    assert {len(entry["generators"]) for entry in plain[1].entries.values()} == {1}


def test_another_loader_has_no_use_for_its_generator(plain: Whole) -> None:
    assert plain[1].folder is not None
    fit(Save(), plain[1].folder / "start 8.ckpt")


def test_a_checkpoint_has_its_position_and_its_steps(whole: Whole) -> None:
    entries = whole[1].entries
    assert {name: entry["logged_steps"] for name, entry in entries.items()} == {
        name: int(name.split()[1]) for name in entries
    }
    places = {
        "step": "within an epoch",
        "validating": "within an epoch",
        "validation": "within an epoch",
        "epoch": "epoch end",
    }
    for name, entry in entries.items():
        assert entry["place"] == places.get(name.split()[0], "between epochs"), name


def test_a_checkpoint_says_whether_a_run_can_go_on_exactly(whole: Whole) -> None:
    """Neither ahead of a validation nor inside of one, nor at the last batch of an epoch, the fourth."""
    resumable = {name for name, entry in whole[1].entries.items() if entry["can_go_on"]}
    steps = {"step": range(1, 16, 2), "validation": range(2, 16, 4), "start": range(0, 16, 4), "epoch": range(4, 17, 4)}
    assert resumable == {f"{name} {step}" for name, numbers in steps.items() for step in numbers}


def test_blocks_of_steps_run_beside_it() -> None:
    assert Resume(Changes()).block_by_block


def numbers() -> tuple[float, ...]:
    """Draws from every generator, and an odd count of normal numbers from two that keep the second of a pair."""
    drawn = [float(torch.rand(())), float(numpy.random.random()), random.random()]
    return (*drawn, float(numpy.random.normal()), random.gauss(0, 1))


def test_the_generators_are_restored() -> None:
    numbers()
    state = rng_state()
    expected = [numbers() for _ in range(2)]
    assert state["cuda"] == []
    set_rng_state(state)
    assert [numbers() for _ in range(2)] == expected


def test_the_generators_of_gpus_are_restored_on_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    restored: list[Any] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: [torch.ones(2), torch.zeros(2)])
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", restored.append)
    state = rng_state()
    for count in (0, 1, 3):
        monkeypatch.setattr(torch.cuda, "device_count", lambda count=count: count)
        set_rng_state(state)
    assert restored == []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    set_rng_state(state)
    assert [tensor.tolist() for tensor in restored[0]] == [[1, 1], [0, 0]]


def next_number(seed: int, after: int) -> float:
    """Returns the number that torch draws behind ``after`` others."""
    return float(torch.rand(after + 1, generator=torch.Generator().manual_seed(seed))[-1])


@pytest.mark.parametrize("rank", [0, 1, 3])
def test_ranks_draw_different_numbers(rank: int) -> None:
    torch.manual_seed(8)
    part_ways(rank)
    assert float(torch.rand(())) == next_number(8, rank * 1009)


def test_gpus_of_ranks_have_seeds_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    torch.manual_seed(8)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "manual_seed", seeds.append)
    for rank in (0, 1, 3):
        part_ways(rank)
    assert seeds == [8 + 1_000_003, 8 + 3 * 1_000_003]


@pytest.mark.parametrize(("rank", "seed", "after"), [(0, 20, 0), (1, 21, 0), (2, 20, 2 * 1009)])
def test_a_further_rank_goes_on_from_the_first_ones_generators(rank: int, seed: int, after: int) -> None:
    resume = Resume(Changes())
    states = [torch.Generator().manual_seed(seed).get_state() for seed in (20, 21)]
    resume.loaded = {"rng": [rng_state() | {"torch": state} for state in states]}
    trainer = SimpleNamespace(global_rank=rank)
    resume.on_train_epoch_start(trainer, None)
    assert float(torch.rand(())) == next_number(seed, after)
    torch.manual_seed(5)
    resume.on_train_epoch_start(trainer, None)  # restored once
    assert float(torch.rand(())) == next_number(5, 0)


def stub(**more: Any) -> Any:
    """A Trainer between two epochs."""
    counts = SimpleNamespace(ready=2, started=2, processed=2, completed=2)
    epoch_loop = SimpleNamespace(batch_progress=SimpleNamespace(current=counts), _batches_that_stepped=9)
    fit_loop = SimpleNamespace(epoch_progress=SimpleNamespace(current=counts), epoch_loop=epoch_loop)
    default = {
        "fit_loop": fit_loop, "train_dataloader": None, "validating": False, "accumulate_grad_batches": 1,
        "should_stop": False, "callback_metrics": {"val/loss": torch.tensor(0.5)}, "world_size": 1, "global_rank": 0,
        "is_global_zero": True, "callbacks": [], "ckpt_path": "x.ckpt", "state": SimpleNamespace(fn=TrainerFn.FITTING),
    }  # fmt: skip
    return SimpleNamespace(**default | more)


def counters() -> dict[str, Any]:
    epochs = {"ready": 3, "started": 3, "processed": 2, "completed": 1}
    return {"fit_loop": {"epoch_progress": {"total": {**epochs}, "current": {**epochs}},
                         "state_dict": {"combined_loader": [1]}}}  # fmt: skip


def test_a_checkpoint_has_the_generators_of_all_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    def gather(states: list[Any], own: Any) -> None:
        states[:] = [own, "of rank 1"]

    monkeypatch.setattr(distributed, "all_gather_object", gather)
    entries = []
    for size in (1, 2):
        checkpoint: dict[str, Any] = {"loops": counters()}
        Resume(Changes()).on_save_checkpoint(stub(world_size=size), None, checkpoint)
        entries.append(checkpoint[KEY]["rng"])
        assert checkpoint[KEY]["logged_steps"] == 9
        assert checkpoint[KEY]["metrics"] == {"val/loss": 0.5}
        finished = dict.fromkeys(("ready", "started", "processed", "completed"), 2)
        expected = {"epoch_progress": {"total": finished, "current": finished}, "state_dict": {}}
        assert checkpoint["loops"]["fit_loop"] == expected
    assert len(entries[0]) == 1
    assert entries[1][1:] == ["of rank 1"]
    assert torch.equal(entries[1][0]["torch"], torch.get_rng_state())


@pytest.mark.parametrize(
    ("before", "now", "processed", "steps"), [(1, 2, 3, 6), (4, 2, 9, 4), (2, 2, 5, 5), (None, 2, 5, 5)]
)
def test_batches_are_counted_by_the_new_number_of_a_step(
    before: int | None, now: int, processed: int, steps: int
) -> None:
    """The last batch of a checkpoint is completed only after the hooks of its end."""
    for scheduled in (False, True):
        count = {"ready": processed, "started": processed, "processed": processed, "completed": processed - 1}
        entry = {} if before is None else {"accumulate": before}
        loops = {"fit_loop": {"epoch_loop.batch_progress": {"current": count}}}
        callbacks = [GradientAccumulationScheduler({0: 1})] if scheduled else []
        trainer = stub(accumulate_grad_batches=now, callbacks=callbacks)
        resume = Resume(Changes())
        resume.on_load_checkpoint(trainer, None, {"callbacks": {}, KEY: entry, "loops": loops})
        expected = processed if scheduled else steps
        assert count == {"ready": expected, "started": expected, "processed": expected, "completed": expected - 1}
        assert resume.loaded == entry


def test_a_test_restores_no_generators() -> None:
    resume = Resume(Changes())
    for fn in (TrainerFn.TESTING, TrainerFn.VALIDATING):
        resume.on_load_checkpoint(stub(state=SimpleNamespace(fn=fn)), None, {KEY: {"rng": []}})
        assert resume.loaded is None


@pytest.mark.parametrize("rank", [0, 1])
def test_an_inexact_checkpoint_is_named_by_the_first_rank(capsys: pytest.CaptureFixture[str], rank: int) -> None:
    for entry in ({"can_go_on": False}, {"can_go_on": True}, {}):
        trainer = stub(is_global_zero=rank == 0)
        Resume(Changes()).on_load_checkpoint(trainer, None, {"callbacks": {}, KEY: entry})
        is_named = rank == 0 and entry.get("can_go_on") is False
        assert ("x.ckpt was saved where no run can go on exactly" in capsys.readouterr().err) == is_named
        assert (inexact({KEY: entry}) is None) == (entry.get("can_go_on") is not False)
    assert inexact({}) is None


@pytest.mark.parametrize("changed", [(), ("trainer.callbacks.patience",), ("trainer.max_time",), ("data.workers",)])
@pytest.mark.parametrize("stopped", [False, True])
def test_a_stop_is_restored_unless_its_options_changed(stopped: bool, changed: tuple[str, ...]) -> None:
    resume = Resume(Changes(dict.fromkeys(changed, (1, 2))))
    resume.loaded = {"metrics": {"val/loss": 0.25}, "should_stop": stopped, "place": "within an epoch"}
    trainer = stub(callback_metrics={})
    resume.on_train_start(trainer, None)
    assert trainer.should_stop == (stopped and (not changed or changed == ("data.workers",)))
    assert trainer.callback_metrics == {"val/loss": torch.tensor(0.25)}


@pytest.mark.parametrize("rank", [0, 2])
def test_a_new_run_draws_by_rank(rank: int) -> None:
    torch.manual_seed(8)
    Resume(Changes()).on_train_start(stub(global_rank=rank), None)
    assert float(torch.rand(())) == next_number(8, rank * 1009)


def test_the_typed_patience_wins() -> None:
    state = {"patience": 3}
    adapt(state, EarlyStopping("val/loss", patience=7), Path("x.ckpt"))
    assert state == {"patience": 7}


def test_callbacks_of_the_checkpoint_are_adapted() -> None:
    stopping, new = EarlyStopping("val/loss", patience=7), EarlyStopping("train/loss", patience=8)
    state = {"patience": 3}
    checkpoint = {"callbacks": {stopping.state_key: state, "Other": {"patience": 4}}}
    Resume(Changes()).on_load_checkpoint(stub(callbacks=[Callback(), new, stopping]), None, checkpoint)
    assert checkpoint["callbacks"] == {stopping.state_key: {"patience": 7}, "Other": {"patience": 4}}


def saved_state(folder: Path, **more: str) -> dict[str, Any]:
    paths = {"best_model_path": f"{folder}/a.ckpt", "kth_best_model_path": "/elsewhere/a.ckpt", "last_model_path": ""}
    best = {f"{folder}/a.ckpt": 1, f"{folder}-2/b.ckpt": 2}
    return {"dirpath": str(folder), "monitor": "val/loss", "best_k_models": best, **paths, **more}


def test_paths_of_a_checkpoint_callback_follow_its_folder(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    new.mkdir()
    (new / "last.ckpt").touch()
    state = saved_state(old)
    adapt(state, ModelCheckpoint(new), new / "last.ckpt")
    expected = saved_state(new, kth_best_model_path="/elsewhere/a.ckpt")
    assert state == expected | {"best_k_models": {f"{new}/a.ckpt": 1, f"{old}-2/b.ckpt": 2}}


def test_a_checkpoint_of_another_folder_keeps_its_paths(tmp_path: Path) -> None:
    new, other = tmp_path / "new", tmp_path / "other"
    for folder in (new, other):
        folder.mkdir()
        (folder / "last.ckpt").touch()
    for callback in (ModelCheckpoint(new), ModelCheckpoint()):
        state = saved_state(other)
        adapt(state, callback, other / "last.ckpt")
        assert state == saved_state(other)
        assert "file_exists" not in vars(callback)


def test_only_newer_checkpoints_are_of_a_killed_session(tmp_path: Path) -> None:
    for name, age in (("last.ckpt", 100), ("same.ckpt", 100), ("old.ckpt", 200), ("new.ckpt", 50), ("new.txt", 50)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1_700_000_000 - age,) * 2)
    saver, trainer = ModelCheckpoint(tmp_path), Trainer(accelerator="cpu", logger=False)
    adapt(saved_state(tmp_path), saver, tmp_path / "last.ckpt")
    found = {path.name for path in tmp_path.iterdir() if saver.file_exists(str(path), trainer)}
    assert found == {"last.ckpt", "same.ckpt", "old.ckpt", "new.txt"}
    assert not saver.file_exists(str(tmp_path / "none.ckpt"), trainer)
