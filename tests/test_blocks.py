"""Several steps in one execution are the same steps one by one, bit for bit, wherever a block of them ends."""

from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from small import model_for, quiet_trainer, small_data
from test_resume import assert_equal
from torch.optim import SGD, AdamW, RAdam
from torch.optim.lr_scheduler import ExponentialLR

from lit_models import LitCNN, LitMLP, LitModel, LitRNN, LitTransformer
from lit_models.schedules import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau, Schedule

ROWS, BATCH = 140, 6  # 98 train rows: 16 batches of 6 and one of 2
BY_STEP = partial(Schedule, CosineAnnealingLR, warmup=5)
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
        self.seen += [(float(one.loss), one.rows.tolist()) for one in model.ahead]
        self.seen.append((float(outputs["loss"]), batch["row"].tolist()))
        self.ends.append(trainer.global_step)
        assert len(self.seen) == trainer.global_step


def trained(
    steps: int,
    architecture: type[LitModel] = LitMLP,
    optimizer: Any = AdamW,
    schedule: Any = None,
    checkpoint: Path | None = None,
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
    trainer.fit(model, data, ckpt_path=checkpoint, weights_only=True)
    loops = trainer.fit_loop.state_dict()
    return {
        "weights": model.state_dict(),
        "optimizer": trainer.optimizers[0].state_dict(),
        "schedules": [one.scheduler.state_dict() for one in trainer.lr_scheduler_configs],
        "logged": {name: value for name, value in trainer.callback_metrics.items() if "_" not in name.split("/")[1]},
        "losses": losses.seen,
        "random": torch.get_rng_state(),
        "step": trainer.global_step,
        "loops": loops,
    }, losses


@pytest.mark.parametrize("steps", [7, 50])
@pytest.mark.parametrize(
    ("architecture", "optimizer", "schedule", "settings"),
    [
        (LitMLP, AdamW, BY_STEP, {}),
        (LitMLP, partial(SGD, lr=0.1, momentum=0.9), partial(Schedule, ExponentialLR_ := partial(ExponentialLR, gamma=0.9)), {}),
        (LitCNN, RAdam, partial(Schedule, OneCycleLR), {"gradient_clip_val": 0.1}),
        (LitRNN, AdamW, partial(Schedule, ReduceLROnPlateau), {"precision": "bf16-mixed", "val_check_interval": 5}),
        (LitTransformer, AdamW, partial(Schedule, ExponentialLR_, interval="step", frequency=3), {"max_steps": 23}),
        (LitMLP, AdamW, None, {"limit_train_batches": 11, "gradient_clip_val": 0.5, "gradient_clip_algorithm": "value"}),
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


@pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint.*")
def test_a_fit_goes_on_from_any_block_in_blocks_of_any_size(tmp_path: Path) -> None:
    """Dropout is off: Lightning's own checkpoints hold no random numbers; those of a run do, see below."""
    saving = ModelCheckpoint(tmp_path, every_n_train_steps=3, save_top_k=-1)
    mlp = {**SMALL[LitMLP]}
    SMALL[LitMLP]["hidden"] = (8,)
    whole, losses = trained(1, schedule=BY_STEP, callbacks=(saving,))
    SMALL[LitMLP] = mlp
    assert len(list(tmp_path.iterdir())) >= 10
    for path in tmp_path.iterdir():
        done = int(path.stem.rpartition("=")[2])
        for steps in (1, 4, 50):
            resumed, rest = trained_from(path, steps)
            assert [rows for _, rows in rest] == [rows for _, rows in losses.seen[done:]], (done, steps)
            assert resumed == whole["step"]


def trained_from(path: Path, steps: int) -> tuple[int, list[tuple[float, list[int]]]]:
    class Rest(Losses):
        def on_train_batch_end(self, trainer: Any, model: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            self.seen += [(float(one.loss), one.rows.tolist()) for one in model.ahead]
            self.seen.append((float(outputs["loss"]), batch["row"].tolist()))

    rest = Rest()
    whole, _ = trained(steps, schedule=BY_STEP, checkpoint=path, callbacks=(), **{"callbacks": [rest]})
    return whole["step"], rest.seen
