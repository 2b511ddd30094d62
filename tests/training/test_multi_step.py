"""Several steps in one execution are the same steps one by one, bit for bit, wherever a block of them ends."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from fork_server import Server, server
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from resumed_runs import assert_equal, state
from tiny_data import model_for, quiet_trainer, small_data
from torch.optim import SGD, AdamW, RAdam
from torch.optim.lr_scheduler import ExponentialLR

from experiments.__main__ import main
from lit_models import LitCNN, LitMLP, LitModel, LitRNN, LitTransformer
from lit_models.schedules import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau, Schedule

ROWS, BATCH = 140, 6  # 98 train rows: 16 batches of 6 and one of 2
BY_STEP = partial(Schedule, CosineAnnealingLR, warmup=5)
FALLING = partial(ExponentialLR, gamma=0.9)
BY_EPOCH, EVERY_THIRD = partial(Schedule, FALLING), partial(Schedule, FALLING, interval="step", frequency=3)
BY_VALUE = {"gradient_clip_val": 0.5, "gradient_clip_algorithm": "value"}
SMALL: dict[type[LitModel], dict[str, Any]] = {
    LitMLP: {"hidden": (8,)},
    LitCNN: {"channels": (4, 4), "kernel_size": 3},
    LitRNN: {"hidden": 4, "num_layers": 2},
    LitTransformer: {"width": 8, "heads": 2, "num_layers": 1},
}


class Losses(pl.Callback):
    """Every loss, with the ids of its rows and the step after it."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, list[int]]] = []
        self.ends: list[int] = []

    def on_train_batch_end(self, trainer: Any, model: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.seen += [(float(one.loss), one.rows.tolist()) for one in model.multi_step.ahead]
        self.seen.append((float(outputs["loss"]), batch["row"].tolist()))
        self.ends.append(trainer.global_step)
        assert len(self.seen) == trainer.global_step


def trained(
    steps: int,
    architecture: type[LitModel] = LitMLP,
    optimizer: Any = AdamW,
    schedule: Any = None,
    callbacks: tuple[pl.Callback, ...] = (),
    **settings: Any,
) -> tuple[dict[str, Any], Losses]:
    """Everything that a fit comes to."""
    pl.seed_everything(3, verbose=False)
    chance = torch.Generator().manual_seed(0)
    y = torch.arange(ROWS) % 3
    x = torch.randn(ROWS, 2, 8, generator=chance) + y[:, None, None]
    data = small_data(x, y, batch_size=BATCH)
    model = model_for(
        data,
        architecture,
        optimizer=optimizer,
        schedule=schedule and schedule(),
        steps_per_execution=steps,
        dropout=0.3,
        **SMALL[architecture],
    )
    losses = Losses()
    saves = any(isinstance(one, ModelCheckpoint) for one in callbacks)
    trainer = quiet_trainer(
        **{"max_epochs": 2, "callbacks": [losses, *callbacks], "enable_checkpointing": saves} | settings
    )
    trainer.fit(model, data)
    loops = trainer.fit_loop.state_dict()
    return {
        "weights": model.state_dict(),
        "optimizer": trainer.optimizers[0].state_dict(),
        "schedules": [one.scheduler.state_dict() for one in trainer.lr_scheduler_configs],
        "logged": {name: value for name, value in trainer.callback_metrics.items() if "_" not in name.split("/")[1]},
        "losses": losses.seen,
        "random": torch.get_rng_state(),
        "step": trainer.global_step,
        "loops": loops,  # all of Lightning's counters
    }, losses


@pytest.mark.parametrize("steps", [7, 50])
@pytest.mark.parametrize(
    ("architecture", "optimizer", "schedule", "settings"),
    [
        (LitMLP, AdamW, BY_STEP, {}),
        (LitMLP, partial(SGD, lr=0.1, momentum=0.9), BY_EPOCH, {}),
        (LitCNN, RAdam, partial(Schedule, OneCycleLR), {"gradient_clip_val": 0.1}),
        (LitRNN, AdamW, partial(Schedule, ReduceLROnPlateau), {"precision": "bf16-mixed", "val_check_interval": 5}),
        (LitTransformer, AdamW, EVERY_THIRD, {"max_steps": 23}),
        (
            LitMLP,
            AdamW,
            None,
            {"limit_train_batches": 11, "gradient_clip_val": 0.5, "gradient_clip_algorithm": "value"},
        ),
        (LitMLP, AdamW, BY_STEP, {"precision": "64-true", "check_val_every_n_epoch": None, "val_check_interval": 12}),
    ],
)
def test_blocks_of_steps_are_those_steps(
    steps: int, architecture: type[LitModel], optimizer: Any, schedule: Any, settings: dict[str, Any]
) -> None:
    """Without its steps counted, Lightning's ``global_step`` stays 0 and no checkpoint by steps is ever written."""
    one, single = trained(1, architecture, optimizer, schedule, **settings)
    several, blocks = trained(steps, architecture, optimizer, schedule, **settings)
    assert_equal(several, one)
    assert len(blocks.ends) < len(single.ends) / 2
    assert blocks.ends[-1] == single.ends[-1]


def test_a_model_clears_its_gradients_itself_in_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    cleared = []

    def clear(model: LitModel, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer) -> None:
        cleared.append(epoch)
        optimizer.zero_grad()

    monkeypatch.setattr(LitMLP, "optimizer_zero_grad", clear)
    trained(7)
    assert cleared == [0] * 17 + [1] * 17


def test_a_block_ends_where_something_is_due(tmp_path: Path) -> None:
    saving = ModelCheckpoint(tmp_path, every_n_train_steps=5, save_top_k=-1)
    _, blocks = trained(7, callbacks=(saving,), val_check_interval=8, limit_train_batches=13, max_steps=18)
    assert blocks.ends == [5, 8, 10, 13, 15, 18]
    assert sorted(path.stem.rpartition("=")[2] for path in tmp_path.iterdir()) == ["10", "15", "5"]


def test_early_stopping_stops_at_the_same_step() -> None:
    runs = [
        trained(steps, callbacks=(EarlyStopping("val/loss", patience=1, min_delta=0.3),), max_epochs=30)[0]
        for steps in (1, 7)
    ]
    assert runs[0]["step"] < 17 * 30
    assert_equal(*runs)


@pytest.fixture(scope="module")
def forks() -> Iterator[Server]:
    with server() as running:
        yield running


WORDS = """fit --trust faults --data faults.Waves --data.batch_size 16 --model LitMLP --model.hidden [8]
--model.dropout 0.2 --model.schedule.scheduler CosineAnnealingLR --model.schedule.warmup 0.2 --trainer.max_epochs 3
--seed_everything 3 --experiment e --run one --trainer.callbacks+ faults.Pause --save_every_n_steps 2
--figures false"""


def run(forks: Server, folder: Path, steps: int) -> dict[str, Any]:
    words = [*WORDS.split(), "--model.steps_per_execution", str(steps)]
    child = forks.start(words, folder)
    assert child.wait() == 0, child.output.read_text()
    return state(folder / "runs" / "e" / "one")


@pytest.fixture(scope="module")
def single_steps(forks: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Returns what an undisturbed run of single steps ends with."""
    return run(forks, tmp_path_factory.mktemp("whole"), 1)


@pytest.mark.parametrize(
    ("moment", "before", "after"),
    [pytest.param("step 6", 3, 3, marks=pytest.mark.slow), ("step 14", 50, 1), ("step 20", 1, 7)],
)
def test_a_killed_run_goes_on_in_blocks_of_any_size(
    forks: Server, tmp_path: Path, single_steps: dict[str, Any], moment: str, before: int, after: int
) -> None:
    """Saved inside an epoch, dropout and a warm-up going on; blocks end where ``last.ckpt`` is due."""
    (tmp_path / "killed").mkdir()
    child = forks.start(
        [*WORDS.split(), "--model.steps_per_execution", str(before)], tmp_path / "killed", PAUSE_AT=moment
    )
    child.wait_for(tmp_path / "killed" / "reached")
    child.kill()
    last = torch.load(tmp_path / "killed/runs/e/one/checkpoints/last.ckpt", weights_only=True)
    assert last["global_step"] == int(moment.split()[1]) - 2  # the moment's own is not written yet
    assert_equal(run(forks, tmp_path / "killed", after), single_steps)


def test_a_step_that_diverges_is_found_in_its_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    reports = []
    for steps in (1, 50):
        start = "fit --trust faults --data faults.Waves --data.batch_size 16 --model LitMLP --model.optimizer SGD"
        more = f"--model.optimizer.lr 1e30 --experiment e --run {steps} --seed_everything 1"
        words = [*start.split(), *more.split(), "--model.steps_per_execution", str(steps)]
        with pytest.raises(SystemExit) as stopped:
            main(words)
        assert stopped.value.code == 3
        report = json.loads(Path(f"runs/e/{steps}/divergence.json").read_text())
        reports.append({name: report[name] for name in ("step", "epoch", "loss", "rows")})
    assert reports[0] == reports[1]
    assert reports[0]["step"] > 1


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--trainer.accumulate_grad_batches 2", "accumulated gradients"),
        ('--trainer.callbacks+ GradientAccumulationScheduler --trainer.callbacks.scheduling {"0":2}', "accumulated"),
        ("--trainer.callbacks+ WeightAveraging", "WeightAveraging"),
        ("--model.optimizer LBFGS", "LBFGS"),
        ("--trainer.strategy ddp", "several devices"),
        ("--model.steps_per_execution 0", "at least 1"),
    ],
)
def test_what_needs_single_steps_is_refused(refused: Any, words: str, reason: str) -> None:
    quick = "--data tiny_package.Tiny --model LitLinear --model.steps_per_execution 7 --trainer.accelerator cpu"
    assert reason in refused(*quick.split(), *words.split())
