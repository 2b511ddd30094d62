"""Schedule-free optimizers are evaluated, saved, tested and exported by their average, and resume exactly."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Fit
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from tiny_data import model_for, quiet_trainer, small_data

from experiments.__main__ import main
from experiments.run.checkpoints.checkpoint_io import read
from lit_models import ConfigError, LitMLP, Schedule
from lit_models.schedules.schedulers import CosineAnnealingLR
from lit_models.training.schedule_free import KEY

schedulefree = pytest.importorskip("schedulefree")
X = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
DATA = small_data(X, torch.arange(40) % 3, batch_size=7)
OPTIMIZER = partial(schedulefree.AdamWScheduleFree, lr=0.05)
TRUSTED = ["--trust", "schedulefree", "--model.optimizer", "schedulefree.AdamWScheduleFree"]
TINY = ["--data", "Tiny", "--model", "LitMLP", "--model.norm", "none", "--seed_everything", "1", *TRUSTED]


def mlp(**kwargs: Any) -> LitMLP:
    torch.manual_seed(1)
    options = {"hidden": [8], "norm": "none", "dropout": 0.0, "optimizer": OPTIMIZER, **kwargs}
    return model_for(DATA, LitMLP, **options)  # type: ignore[return-value]


def by_hand(epochs: int) -> dict[str, torch.Tensor]:
    """The package's own loop: train() ahead of the steps, eval() at the end."""
    model = mlp()
    loader = None
    optimizer = schedulefree.AdamWScheduleFree([{"params": [*model.parameters()]}], lr=0.05)
    DATA.setup("fit")
    loader = DATA.train_dataloader()
    for epoch in range(epochs):
        loader.set_epoch(epoch)
        optimizer.train()
        for batch in loader:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(batch["x"]), batch["y"]).backward()
            optimizer.step()
        optimizer.eval()
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def test_the_end_and_the_checkpoint_hold_the_average_of_the_packages_own_loop(tmp_path: Path) -> None:
    kept = ModelCheckpoint(tmp_path, save_top_k=-1, every_n_epochs=1, save_on_train_epoch_end=True)
    model = mlp()
    trainer = quiet_trainer(max_epochs=3, callbacks=[kept], enable_checkpointing=True)
    trainer.fit(model, DATA)
    expected = by_hand(3)
    checkpoint = torch.load(kept.best_model_path or next(tmp_path.glob("epoch=2*")), weights_only=True)
    for name, value in expected.items():
        torch.testing.assert_close(model.get_parameter(name).detach(), value, msg=name)
        torch.testing.assert_close(checkpoint["state_dict"][name], value, msg=name)
    assert any(not torch.equal(checkpoint[KEY][name], value) for name, value in expected.items())


def test_saving_more_often_changes_no_bit(tmp_path: Path) -> None:
    ends = []
    for every in (1, 100):
        model = mlp()
        kept = ModelCheckpoint(tmp_path / str(every), every_n_train_steps=every, save_top_k=-1)
        quiet_trainer(max_epochs=2, callbacks=[kept], enable_checkpointing=True).fit(model, DATA)
        ends.append(model.state_dict())
    for name, value in ends[0].items():
        assert torch.equal(value, ends[1][name]), name


@pytest.mark.parametrize(
    ("options", "callbacks", "message"),
    [
        ({}, [EMAWeightAveraging()], "EMAWeightAveraging, since it averages the weights itself"),
        ({"schedule": Schedule(CosineAnnealingLR)}, [], "--model.schedule, which it replaces"),
        ({}, [ModelCheckpoint(save_weights_only=True)], "save_weights_only, since a checkpoint needs both"),
    ],
)
def test_what_it_does_itself_is_refused(options: dict[str, Any], callbacks: list[Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"AdamWScheduleFree does not go with {message}"):
        quiet_trainer(max_epochs=1, callbacks=callbacks, enable_checkpointing=True).fit(mlp(**options), DATA)


def test_the_command_tests_the_average_of_its_best_checkpoint(fit: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    made = fit(*TINY, "--trainer.max_epochs", "3", "--trainer.gradient_clip_val", "1")
    assert "model.schedule" not in made["hyperparameters"]
    checkpoint = read(made["path"] / "checkpoints/best.ckpt")
    assert KEY in checkpoint or not checkpoint["optimizer_states"][0]["param_groups"][0]["train_mode"]
    for verb, loss in (("test", made["metrics"]["test/loss"]), ("validate", made["validation"]["loss"])):
        capsys.readouterr()
        words = ["--trust", "tiny_package", "--trust", "schedulefree", "--ckpt_path", str(made["path"])]
        assert main([verb, *words]) == 0
        assert f"{loss:.4f}"[:5] in capsys.readouterr().out
