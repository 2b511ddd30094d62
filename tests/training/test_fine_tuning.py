"""Frozen parameters and their batch norms stay bit for bit, are trained from an epoch on, and resume exactly."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from fork_server import Server, server
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import StochasticWeightAveraging
from resumed_runs import assert_equal, state
from tiny_data import PLAIN, model_for, quiet_trainer, small_data
from torch import Tensor, nn

from lit_models import ConfigError, LitCNN, LitMLP

X = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
DATA = small_data(X, torch.arange(60) % 3, batch_size=8)
FIRST = r"body\.layers\.[01]\."
"""The first layer of an MLP and its batch norm."""


class EpochStates(Callback):
    """Keeps the state dict at the start of every epoch and at the end."""

    def __init__(self) -> None:
        self.states: list[dict[str, Tensor]] = []

    def on_train_epoch_start(self, trainer: Any, pl_module: nn.Module) -> None:
        self.states.append({name: value.clone() for name, value in pl_module.state_dict().items()})

    on_train_end = on_train_epoch_start


def changed(before: dict[str, Tensor], now: dict[str, Tensor]) -> set[str]:
    return {name for name, value in before.items() if not torch.equal(value, now[name])}


def mlp(**kwargs: Any) -> LitMLP:
    torch.manual_seed(1)
    return model_for(DATA, LitMLP, hidden=[8, 8], **kwargs)  # type: ignore[return-value]


def epochs_of(model: LitMLP, epochs: int = 3, **kwargs: Any) -> list[dict[str, Tensor]]:
    kept = EpochStates()
    quiet_trainer(max_epochs=epochs, callbacks=[kept, *kwargs.pop("callbacks", [])], **kwargs).fit(model, DATA)
    return kept.states


@pytest.mark.parametrize("steps", [1, 3])
def test_frozen_parameters_and_their_batch_norm_stay_and_all_else_learns(steps: int) -> None:
    states = epochs_of(mlp(freeze=FIRST, steps_per_execution=steps))
    frozen = {name for name in states[0] if name.startswith(("network.body.layers.0.", "network.body.layers.1."))}
    assert len(frozen) == 6  # the matrix, and of the norm scale, bias, mean, variance and count
    assert changed(states[0], states[-1]) == states[0].keys() - frozen


@pytest.mark.parametrize("steps", [1, 3])
def test_they_learn_from_the_chosen_epoch_on(steps: int) -> None:
    states = epochs_of(mlp(freeze=FIRST, unfreeze_epoch=2, steps_per_execution=steps), epochs=4)
    frozen = {name for name in states[0] if name.startswith(("network.body.layers.0.", "network.body.layers.1."))}
    assert not frozen & changed(states[0], states[2])
    assert frozen <= changed(states[2], states[3])


def test_blocks_of_steps_change_no_bit() -> None:
    one, many = (
        epochs_of(mlp(freeze=FIRST, unfreeze_epoch=1, lr_decay_by_layer=0.5, steps_per_execution=steps))
        for steps in (1, 4)
    )
    assert changed(one[-1], many[-1]) == set()


def test_a_frozen_start_is_a_training_of_the_rest_alone() -> None:
    """By hand: the last layer on the outputs of a network that is never trained."""
    model = mlp(freeze="body.layers", optimizer=partial(torch.optim.SGD, lr=0.1), dropout=0.0)
    states = epochs_of(model, epochs=1)
    batches = [{name: value.clone() for name, value in batch.items()} for batch in DATA.train_dataloader()]
    hidden = mlp(dropout=0.0)
    hidden.load_state_dict(states[0])
    head = hidden.network.body.head
    hidden.eval()
    for batch in batches:
        loss = nn.functional.cross_entropy(hidden(batch["x"]), batch["y"])
        gradients = torch.autograd.grad(loss, [head.weight, head.bias])
        with torch.no_grad():
            for parameter, gradient in zip((head.weight, head.bias), gradients, strict=True):
                parameter -= 0.1 * gradient
    torch.testing.assert_close(states[-1]["network.body.head.weight"], head.weight.detach())


def test_a_norm_without_scale_and_bias_is_found_by_its_statistics() -> None:
    model = mlp(freeze=r"body\.layers\.[01]\.|running")
    model.network.body.layers[1] = nn.BatchNorm1d(8, affine=False)
    states = epochs_of(model)
    assert "network.body.layers.1.running_mean" not in changed(states[0], states[-1])


def test_a_checkpoint_of_a_frozen_training_loads_without_the_options(tmp_path: Path) -> None:
    trainer = quiet_trainer(max_epochs=1, enable_checkpointing=True, default_root_dir=tmp_path)
    trainer.fit(mlp(freeze=FIRST), DATA)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    loaded = LitMLP.load_from_checkpoint(tmp_path / "one.ckpt", weights_only=True)
    assert all(parameter.requires_grad for parameter in loaded.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"freeze": "stem2"}, r"'stem2' matches no parameter; the parameters are network\.body\.layers\.0\.weight, "),
        ({"freeze": ""}, "leaves nothing to train"),
        ({"freeze": "("}, "is no regular expression: missing"),
        ({"unfreeze_epoch": 2}, "set both"),
        ({"freeze": "head", "unfreeze_epoch": 0}, "at least 1"),
        ({"lr_decay_by_layer": 0.0}, "above 0 and up to 1"),
        ({"lr_decay_by_layer": 1.5}, "above 0 and up to 1"),
        ({"lr_decay_by_layer": float("nan")}, "above 0 and up to 1"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        epochs_of(mlp(**options))


def test_several_devices_and_stochastic_weight_averaging_are_refused() -> None:
    with pytest.raises(ConfigError, match="unfreeze_epoch does not go with DDPStrategy, whose processes"):
        epochs_of(mlp(freeze=FIRST, unfreeze_epoch=1), strategy="ddp", devices=1)
    with pytest.raises(ConfigError, match="StochasticWeightAveraging computes the statistics of all batch norms"):
        epochs_of(mlp(freeze=FIRST), callbacks=[StochasticWeightAveraging(0.1)])


def test_the_command_takes_and_refuses_the_options(refused: Callable[..., str]) -> None:
    words = ["--data", "Tiny", "--model", "LitMLP", *PLAIN]
    assert "matches no parameter" in refused(*words, "--model.freeze", "stem|layer1")
    assert "--model.lr_decay_by_layer must be above 0 and up to 1" in refused(*words, "--model.lr_decay_by_layer", "2")
    assert "--model.unfreeze_epoch must be at least 1" in refused(*words, "--model.unfreeze_epoch", "0")
    searched = ["--trainer.callbacks+", "LearningRateFinder", "--model.lr_decay_by_layer", "0.5"]
    assert "LearningRateFinder searches one rate for all layers" in refused(*words[:4], *searched)


@pytest.fixture(scope="module")
def forks() -> Iterator[Server]:
    with server() as running:
        yield running


KILLED = """fit --trust faults --data faults.Waves --data.batch_size 16 --model LitCNN --model.channels [4,4]
--model.dropout 0.2 --trainer.max_epochs 3 --seed_everything 3 --experiment e --run one --figures false
--model.schedule.scheduler OneCycleLR --model.lr_decay_by_layer 0.5 --trainer.callbacks+ faults.Pause
--save_every_n_steps 2 --model.weights start.pt --model.freeze blocks --model.unfreeze_epoch 1"""


@pytest.mark.parametrize(
    "kills",
    [
        [["step 3", "epoch 0", "step 19"]],
        pytest.param([["step 3", "epoch 0"], ["validation 0", "step 11", "step 19"]], marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_goes_on_bit_for_bit_within_and_across_the_unfreezing(
    forks: Server, tmp_path: Path, kills: list[list[str]]
) -> None:
    torch.manual_seed(5)
    start = LitCNN(task="multiclass", modality="series", input_shape=(1, 16), num_outputs=3, channels=[4, 4])
    ends = []
    for moments in ([], *kills):
        folder = tmp_path / str(len(moments))
        folder.mkdir()
        torch.save(start.state_dict(), folder / "start.pt")
        for moment in moments:
            child = forks.start(KILLED.split(), folder, PAUSE_AT=moment)
            child.wait_for(folder / "reached")
            child.kill()
            (folder / "reached").unlink()
            if moment != "validation 0":  # the first epoch's end may have left no checkpoint to go on with
                (folder / "start.pt").unlink(missing_ok=True)
        child = forks.start(KILLED.split(), folder)
        assert child.wait() == 0, child.output.read_text()
        ends.append(state(folder / "runs/e/one"))
    for end in ends[1:]:
        assert_equal(end, ends[0])


@pytest.mark.slow
def test_a_compiled_network_is_unfrozen_too() -> None:
    options = {"freeze": FIRST, "unfreeze_epoch": 1, "dropout": 0.0}  # a compiled one draws other masks
    compiled, plain = (epochs_of(mlp(compile=value, **options), epochs=2) for value in (True, False))
    assert "network.body.layers.0.weight" not in changed(compiled[0], compiled[1])
    assert "network.body.layers.0.weight" in changed(compiled[1], compiled[2])
    for name, value in plain[-1].items():
        torch.testing.assert_close(compiled[-1][name], value, atol=1e-3, rtol=1e-3, msg=name)
