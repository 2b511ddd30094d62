"""The norm between layers is the one that was typed, by its definition; batch norm is what it always was."""

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Fit
from torch import Tensor, nn

from experiments.__main__ import main
from experiments.run.checkpoints.checkpoint_io import read
from lit_models.networks import CNN, MLP

NORMS = ("batch", "layer", "none")


def with_random_norms(network: nn.Module) -> nn.Module:
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm):
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias)
    return network.double()


def by_hand(norm: str, x: Tensor, values: dict[str, Tensor], name: str) -> Tensor:
    """The mean and variance of all but the units, or of the units alone; the units are the second axis."""
    if norm == "none":
        return x
    axes = [axis for axis in range(x.dim()) if axis != 1] if norm == "batch" else [1]
    centered = x - x.mean(dim=axes, keepdim=True)
    scaled = centered / (centered.square().mean(dim=axes, keepdim=True) + 1e-5).sqrt()
    shape = [1, -1] + [1] * (x.dim() - 2)
    return scaled * values[f"{name}.weight"].view(shape) + values[f"{name}.bias"].view(shape)


def test_inputs_are_dropped_in_training_alone() -> None:
    torch.manual_seed(0)
    network = MLP(50, 2, hidden=(6,), dropout=0.0, norm="none", input_dropout=0.25)
    seen: list[Tensor] = []
    network.layers[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x = torch.rand(400, 50) + 1
    network(x)
    kept = seen[0] != 0
    torch.testing.assert_close(seen[0][kept], x[kept] / 0.75)
    assert float(kept.double().mean()) == pytest.approx(0.75, abs=0.02)
    network.eval()(x)
    assert torch.equal(seen[1], x)
    assert network.state_dict().keys() == MLP(50, 2, hidden=(6,), norm="none").state_dict().keys()


@pytest.mark.parametrize("norm", NORMS)
def test_an_mlp_by_hand(norm: Any) -> None:
    torch.manual_seed(0)
    network = with_random_norms(MLP(5, 2, hidden=(6, 4), dropout=0.0, norm=norm))
    values = {name: value.clone() for name, value in network.state_dict().items()}
    x = z = torch.randn(7, 5).double()
    for place in (0, 4):
        z = z @ values[f"layers.{place}.weight"].T + values.get(f"layers.{place}.bias", 0.0)
        z = by_hand(norm, z, values, f"layers.{place + 1}").relu()
    torch.testing.assert_close(network(x), z @ values["head.weight"].T + values["head.bias"])


@pytest.mark.parametrize(("dims", "shape"), [(1, (2, 13)), (2, (2, 7, 9))])
@pytest.mark.parametrize("norm", NORMS)
def test_a_cnn_by_hand(norm: Any, dims: int, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = with_random_norms(CNN(2, 3, dims, channels=(4, 6), dropout=0.0, pool_blocks=1, norm=norm))
    values = {name: value.clone() for name, value in network.state_dict().items()}
    convolve = nn.functional.conv1d if dims == 1 else nn.functional.conv2d
    pool = nn.functional.max_pool1d if dims == 1 else nn.functional.max_pool2d
    x = z = torch.randn(5, *shape).double()
    for index in range(2):
        name = f"blocks.{index}"
        z = convolve(z, values[f"{name}.conv.weight"], values.get(f"{name}.conv.bias"), padding=2)
        z = by_hand(norm, z, values, f"{name}.norm").relu()
        z = pool(z, 2, ceil_mode=True) if index == 0 else z
    expected = z.flatten(2).mean(dim=2) @ values["head.weight"].T + values["head.bias"]
    torch.testing.assert_close(network(x), expected)


def test_batch_norm_is_the_default_with_its_weights_names_and_draws() -> None:
    torch.manual_seed(0)
    mlp, cnn = MLP(5, 2, hidden=(6,)), CNN(2, 3, channels=(4,))
    torch.manual_seed(0)
    expected = [nn.Linear(5, 6, bias=False), nn.Linear(6, 2), nn.Conv1d(2, 4, 5, bias=False), nn.Linear(4, 3)]
    found = [mlp.layers[0], mlp.head, cnn.blocks[0].conv, cnn.head]
    for one, other in zip(found, expected, strict=True):
        assert all(map(torch.equal, one.parameters(), other.parameters()))
        assert (one.bias is None) == (other.bias is None)
    learned = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert [*mlp.state_dict()] == [
        "layers.0.weight", *(f"layers.1.{name}" for name in learned), "head.weight", "head.bias",
    ]  # fmt: skip
    assert [*cnn.state_dict()] == [
        "blocks.0.conv.weight", *(f"blocks.0.norm.{name}" for name in learned), "head.weight", "head.bias",
    ]  # fmt: skip


@pytest.mark.parametrize("norm", ["layer", "none"])
def test_without_batch_norm_a_row_is_nobody_elses(norm: Any) -> None:
    torch.manual_seed(0)
    for network, shape in ((MLP(5, 2, norm=norm, dropout=0.0), (5,)), (CNN(2, 3, norm=norm, dropout=0.0), (2, 9))):
        x = torch.randn(4, *shape)
        alone = torch.cat([network.train()(row.unsqueeze(0)) for row in x])
        torch.testing.assert_close(network(x), alone, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(network.eval()(x), alone, atol=1e-5, rtol=1e-4)


MODELS = {
    "mlp": "--data Tiny --model LitMLP --model.hidden [8]",
    "cnn": "--data Tiny --model LitCNN --model.channels [8]",
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("norm", ["layer", "none"])
def test_a_run_with_another_norm_learns_and_says_so(fit: Fit, model: str, norm: str) -> None:
    words = f"{MODELS[model]} --model.norm {norm} --model.optimizer.lr 0.1 --trainer.max_epochs 12 --seed_everything 0"
    record = fit(*words.split())
    checkpoint = read(record["path"] / "checkpoints/best.ckpt")
    assert checkpoint["hyper_parameters"]["norm"] == norm
    names = [*checkpoint["state_dict"]]
    assert not [name for name in names if "running" in name]
    first = "network.body.layers.0" if model == "mlp" else "network.body.blocks.0.conv"
    assert {f"{first}.weight", f"{first}.bias"} <= {*names}
    assert record["metrics"]["test/loss"] < 0.9  # of three classes chance is 1.10


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--model LitMLP --model.norm group", "norm"),
        ("--model LitMLP --model.hidden [4,1] --model.norm layer", "at least 2, and one has 1; use batch or none"),
        ("--model LitCNN --model.channels [1,4] --model.norm layer", "at least 2, and one has 1; use batch or none"),
    ],
)
def test_a_norm_that_cannot_be_is_refused(refused: Any, words: str, reason: str) -> None:
    assert reason in refused("--data", "tiny_package.Tiny", *words.split())


@pytest.mark.parametrize("words", ["--data.batch_size 1", "--data.batch_size 2 --trainer.accumulate_grad_batches 2"])
def test_batch_norm_over_one_row_ends_with_a_sentence(words: str, tmp_path: Path, capfd: Any) -> None:
    where = f"--trainer.default_root_dir {tmp_path} --figures false --trainer.max_epochs 1"
    fit = f"fit --trust tiny_package --data tiny_package.Tiny --model LitMLP {words} {where}"
    with pytest.raises(SystemExit) as stopped:
        main(fit.split())
    assert stopped.value.code == 2
    message = capfd.readouterr().err
    assert "batch norm needs 2 rows" in message
    assert "Traceback" not in message
    assert main([*fit.split(), "--model.norm", "layer"]) == 0
