"""Every architecture takes every modality, answers every task, is the network that it says, and saves plain values."""

import subprocess
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from paths import REPOSITORY
from tiny_data import model_for, quiet_trainer, small_data
from torch import Tensor, nn

from lit_models import (
    ConfigError,
    LitCNN,
    LitLinear,
    LitMLP,
    LitModel,
    LitResCNN,
    LitResMLP,
    LitRNN,
    LitTabM,
    LitTransformer,
    Schedule,
)
from lit_models.networks import CNN, MLP, RNN, Linear, ResCNN, ResMLP, Transformer
from lit_models.schedules import OneCycleLR

SMALL: dict[str, tuple[type[LitModel], dict[str, Any]]] = {
    "linear": (LitLinear, {}),
    "mlp": (LitMLP, {"hidden": [8, 4]}),
    "mlp with layer norm": (LitMLP, {"hidden": [8, 4], "norm": "layer"}),
    "res mlp": (LitResMLP, {"width": 8, "num_blocks": 2}),
    "tabm": (LitTabM, {"members": 2, "hidden": [8, 4]}),
    "cnn": (LitCNN, {"channels": [4, 8]}),
    "cnn with layer norm": (LitCNN, {"channels": [4, 8], "norm": "layer"}),
    "res cnn": (LitResCNN, {"channels": [4, 8, 8], "pool_blocks": 1}),
    "lstm": (LitRNN, {"cell": "lstm", "hidden": 4, "num_layers": 2}),
    "gru": (LitRNN, {"cell": "gru", "hidden": 4, "bidirectional": False}),
    "transformer": (LitTransformer, {"width": 8, "heads": 2, "num_layers": 1, "convolution": 3}),
    "class token": (LitTransformer, {"width": 8, "heads": 2, "num_layers": 1, "pooling": "class_token"}),
}
SHAPES = {
    "table": [(5,), (1,)],
    "series": [(2, 7), (1, 1)],
    "image": [(3, 4, 6), (3, 1, 1), (1, 1, 1)],
    "text": [(7,), (1,)],
}
VOCAB_SIZES = {"text": 9}


def rows_of(modality: str, rows: int, shape: tuple[int, ...]) -> Tensor:
    return torch.randint(9, (rows, *shape)) if modality == "text" else torch.randn(rows, *shape)


@pytest.mark.parametrize(("modality", "shape"), [(name, shape) for name in SHAPES for shape in SHAPES[name]])
@pytest.mark.parametrize("name", SMALL)
def test_every_architecture_takes_every_modality_and_answers_every_task(
    name: str, modality: str, shape: tuple[int, ...]
) -> None:
    architecture, settings = SMALL[name]
    batch = {"x": rows_of(modality, 3, shape), "row": torch.arange(3)}
    facts = {"modality": modality, "input_shape": shape, "vocab_size": VOCAB_SIZES.get(modality, 0)}
    for task, num_outputs in {"binary": 1, "multiclass": 4, "multilabel": 2, "regression": 3}.items():
        model = architecture(task=task, num_outputs=num_outputs, **facts, **settings)
        model(batch["x"]).square().sum().backward()
        assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
        outputs = model.eval()(batch["x"])
        assert outputs.shape == (3, num_outputs)
        assert outputs.isfinite().all()
        prediction = model.predict_step(batch, 0)["prediction"]
        assert prediction.shape == ((3,) if task == "binary" else (3, num_outputs))
        if task == "multiclass":
            torch.testing.assert_close(prediction.sum(dim=1), torch.ones(3).double())
        if task != "regression":
            assert ((prediction >= 0) & (prediction <= 1)).all()


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("modality", "shape"), [("table", (5,)), ("series", (2, 7)), ("image", (3, 4, 6))])
def test_every_element_of_a_row_is_seen(name: str, modality: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    architecture, settings = SMALL[name]
    model = architecture(task="multiclass", modality=modality, input_shape=shape, num_outputs=3, **settings).eval()
    x = torch.randn(64, *shape, requires_grad=True)
    model(x).square().sum().backward()
    assert (x.grad.abs().amax(dim=0) > 0).all()


@pytest.mark.parametrize("name", SMALL)
def test_every_token_of_a_text_is_seen_and_all_weights_learn(name: str) -> None:
    torch.manual_seed(0)
    architecture, settings = SMALL[name]
    facts = {"task": "multiclass", "modality": "text", "input_shape": (7,), "num_outputs": 3, "vocab_size": 9}
    model = architecture(**facts, **settings, dropout=0.0)
    ids = torch.randint(2, 9, (64, 7))
    outputs = model(ids) if name != "tabm" else model(ids).mean(dim=1)  # of its members
    nn.functional.cross_entropy(outputs, torch.arange(64) % 3).backward()
    assert all(parameter.grad.isfinite().all() and parameter.grad.any() for parameter in model.parameters())
    model.eval()
    for step in range(7):
        other = ids.clone()
        other[:, step] = (ids[:, step] + 1) % 9
        assert ((model(other) - model(ids)).abs().amax(dim=1) > 0).any()


def test_a_text_has_a_vocabulary_and_nothing_else_has() -> None:
    facts = {"task": "multiclass", "modality": "text", "input_shape": (7,), "num_outputs": 3, "vocab_size": 30}
    for name, (architecture, settings) in SMALL.items():
        (embedding,) = (one for one in architecture(**facts, **settings).modules() if isinstance(one, nn.Embedding))
        assert embedding.num_embeddings == 30
        assert embedding.embedding_dim == (8 if name in ("transformer", "class token") else 64)
        weight = embedding.weight.detach()
        assert not weight[0].any()
        assert weight[1:].std() == pytest.approx(embedding.embedding_dim**-0.5, rel=0.15)
        for wrong in ({"vocab_size": 1}, {"vocab_size": 0}, {"modality": "table"}):
            with pytest.raises(ConfigError, match="vocab_size is the number of a text's token ids"):
                architecture(**(facts | wrong), **settings)


@pytest.mark.parametrize(
    "wrong",
    [{"modality": "smell"}, {"task": "ranking"}, {"modality": "image"}, {"input_shape": (3, 0)}],
)
@pytest.mark.parametrize("name", SMALL)
def test_facts_that_contradict_each_other_are_refused(name: str, wrong: dict[str, Any]) -> None:
    architecture, settings = SMALL[name]
    facts = {"task": "multiclass", "modality": "series", "input_shape": (2, 7), "num_outputs": 3}
    with pytest.raises(ConfigError, match=r"is unknown; it is one of|sizes of at least 1"):
        architecture(**(facts | wrong), **settings)


def test_networks_import_without_lightning() -> None:
    program = "import sys, lit_models.networks; print([one for one in sys.modules if one.startswith('lightning')])"
    root = REPOSITORY
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def encoder(**kwargs: Any) -> Transformer:
    torch.manual_seed(0)
    return Transformer(in_features=3, length=5, out_features=2, width=8, heads=2, num_layers=2, **kwargs).eval()


@pytest.mark.parametrize("pooling", ["mean", "class_token"])
def test_a_transformer_knows_where_a_token_stands_by_its_position_alone(pooling: str) -> None:
    network, x = encoder(pooling=pooling), torch.randn(4, 5, 3)
    shuffled = x[:, [2, 0, 1, 4, 3]]
    assert not torch.allclose(network(x), network(shuffled), atol=1e-4)
    with torch.no_grad():
        network.position.zero_()
    torch.testing.assert_close(network(x), network(shuffled))


def test_a_transformers_tokens_lie_one_after_another() -> None:
    """A residual path in the embedding's layout would have every norm and sum turn its rows over."""
    network = Transformer(3, 5, 2, width=8, heads=2, num_layers=2)
    contiguous = []
    for one in network.modules():
        if isinstance(one, nn.LayerNorm):
            one.register_forward_pre_hook(lambda _, inputs: contiguous.append(inputs[0].is_contiguous()))
    network(torch.randn(4, 3, 5).transpose(1, 2))  # as stems give a series
    assert contiguous == [True] * 5


def test_a_transformers_positions_differ_from_the_start() -> None:
    assert torch.pdist(encoder().position[0]).min() > 1e-3


def test_a_class_token_answers_for_the_sequence() -> None:
    network = encoder(pooling="class_token")
    x = torch.randn(4, 5, 3)
    before = network(x)
    with torch.no_grad():
        network.class_token += torch.randn(8)
    assert not torch.allclose(network(x), before, atol=1e-4)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize(("cell", "gates"), [("lstm", 4), ("gru", 3)])
def test_an_rnn_has_the_layers_directions_and_gates_it_was_given(
    cell: str, gates: int, directions: int, layers: int
) -> None:
    inputs, hidden, outputs = 3, 5, 2
    network = RNN(inputs, outputs, cell, hidden, layers, bidirectional=directions == 2)
    widths = [inputs] + [directions * hidden] * (layers - 1)
    recurrent = sum(directions * gates * hidden * (width + hidden + 2) for width in widths)
    head = (directions * hidden + 1) * outputs
    assert sum(parameter.numel() for parameter in network.parameters()) == recurrent + head


def test_an_rnn_reads_the_sequence_in_order() -> None:
    torch.manual_seed(0)
    network, x = RNN(3, 2, hidden=5).eval(), torch.randn(4, 6, 3)
    assert not torch.allclose(network(x), network(x.flip(1)), atol=1e-4)


@pytest.mark.parametrize(("dims", "shape"), [(1, (2, 13)), (2, (2, 7, 9))])
def test_a_cnns_relu_after_the_pool_gives_what_the_usual_order_gives(dims: int, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = CNN(2, 3, dims, channels=(4, 6, 8)).eval()
    assert [block.pool is not None for block in network.blocks] == [True, True, False]
    features = usual = torch.randn(5, *shape)
    for block in network.blocks:
        features = block(features)
        usual = block.norm(block.conv(usual)).relu()
        usual = usual if block.pool is None else block.pool(usual)
    assert torch.equal(features, usual)
    assert features.shape == (5, 8, *(-(-side // 4) for side in shape[1:]))


def norm_of(values: dict[str, Tensor], name: str, x: Tensor, train: bool) -> Tensor:
    """Batch norm by its definition, over all but the channels, with the weights of that name."""
    axes = [axis for axis in range(x.dim()) if axis != 1]
    shape = [1, -1] + [1] * (x.dim() - 2)
    mean, variance = values[f"{name}.running_mean"], values[f"{name}.running_var"]
    if train:
        mean, variance = x.mean(dim=axes), x.var(dim=axes, unbiased=False)
    scaled = (x - mean.view(shape)) / (variance.view(shape) + 1e-5).sqrt()
    return scaled * values[f"{name}.weight"].view(shape) + values[f"{name}.bias"].view(shape)


def with_random_norms(network: nn.Module) -> nn.Module:
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            for values in (norm.running_mean, norm.weight, norm.bias):
                nn.init.normal_(values)
            nn.init.uniform_(norm.running_var, 0.5, 2.0)
    return network


@pytest.mark.parametrize("train", [True, False])
def test_a_residual_mlp_is_the_one_of_its_paper(train: bool) -> None:
    """x + Linear(ReLU(Linear(BatchNorm(x)))) in every block; Linear(ReLU(BatchNorm(x))) at the end."""
    torch.manual_seed(0)
    network = with_random_norms(ResMLP(5, 3, width=6, num_blocks=2, expansion=1.5, dropout=0.0)).train(train)
    values = {name: value.clone() for name, value in network.state_dict().items()}
    assert values["blocks.0.expand.weight"].shape == (9, 6)
    x = torch.randn(7, 5)

    def linear(name: str, x: Tensor) -> Tensor:
        return x @ values[f"{name}.weight"].T + values[f"{name}.bias"]

    z = linear("stem", x)
    for block in ("blocks.0", "blocks.1"):
        z = z + linear(
            f"{block}.contract", linear(f"{block}.expand", norm_of(values, f"{block}.norm", z, train)).relu()
        )
    torch.testing.assert_close(network(x), linear("head", norm_of(values, "norm", z, train).relu()))


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(("dims", "shape"), [(1, (2, 13)), (2, (2, 7, 9))])
def test_a_residual_cnn_is_the_one_of_its_paper(dims: int, shape: tuple[int, ...], train: bool) -> None:
    """Blocks of three convolutions with batch norm, ReLU behind all but the last, which the input is added ahead of."""
    torch.manual_seed(0)
    network = with_random_norms(ResCNN(2, 3, dims, channels=(4, 6, 6), pool_blocks=1)).train(train)
    values = {name: value.clone() for name, value in network.state_dict().items()}
    convolve, pool = (
        (nn.functional.conv1d, nn.functional.max_pool1d)
        if dims == 1
        else (nn.functional.conv2d, nn.functional.max_pool2d)
    )
    assert not any(name.startswith("blocks.2.shortcut") for name in values)  # as many channels behind as ahead

    def convolved(name: str, x: Tensor) -> Tensor:
        weight = values[f"{name}.conv.weight"]
        return norm_of(values, f"{name}.norm", convolve(x, weight, padding=weight.shape[-1] // 2), train)

    x = torch.randn(5, *shape)
    z = x
    for index in range(3):
        added = z if index == 2 else convolved(f"blocks.{index}.shortcut", z)
        for place in range(3):
            assert values[f"blocks.{index}.chain.{place}.conv.weight"].shape[-1] == (7, 5, 3)[place]
            z = convolved(f"blocks.{index}.chain.{place}", z)
            z = z.relu() if place < 2 else (z + added).relu()
        z = pool(z, 2, ceil_mode=True) if index == 0 else z
    expected = z.flatten(2).mean(dim=2) @ values["head.weight"].T + values["head.bias"]
    torch.testing.assert_close(network(x), expected, atol=1e-5, rtol=1e-4)


def test_a_cnns_blocks_have_the_kernels_they_were_given() -> None:
    """The network of Wang, Yan & Oates (2017), whose even kernel is the next odd one here."""
    network = CNN(1, 3, channels=(128, 256, 128), kernel_size=(7, 5, 3), pool_blocks=0)
    assert [tuple(block.conv.weight.shape) for block in network.blocks] == [(128, 1, 7), (256, 128, 5), (128, 256, 3)]
    assert [block.conv.weight.shape[2] for block in CNN(1, 3).blocks] == [5, 5, 5]


NETWORKS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "linear": (partial(Linear, 12, 4), (12,)),
    "mlp": (partial(MLP, 12, 4), (12,)),
    "res mlp": (partial(ResMLP, 12, 4), (12,)),
    "res cnn 1-d": (partial(ResCNN, 2, 4, 1), (2, 12)),
    "res cnn 2-d": (partial(ResCNN, 2, 4, 2), (2, 5, 6)),
    "cnn 1-d": (partial(CNN, 2, 4, 1), (2, 12)),
    "cnn 2-d": (partial(CNN, 2, 4, 2), (2, 5, 6)),
    "lstm": (partial(RNN, 3, 4, "lstm"), (6, 3)),
    "gru": (partial(RNN, 3, 4, "gru"), (6, 3)),
    "transformer": (partial(Transformer, 3, 6, 4), (6, 3)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_dropout_is_at_work_in_training_only(name: str) -> None:
    make, shape = NETWORKS[name]
    x = torch.randn(8, *shape)

    def twice(network: nn.Module) -> tuple[Tensor, Tensor]:
        return network(x), network(x)

    assert not torch.equal(*twice(make(dropout=0.5).train()))
    assert torch.equal(*twice(make(dropout=0.0).train()))
    assert torch.equal(*twice(make(dropout=0.5).eval()))


def test_an_rnn_drops_states_between_its_layers_too() -> None:
    network = RNN(3, 4, num_layers=2, dropout=0.5).train()
    network.dropout.p = 0.0
    x = torch.randn(8, 6, 3)
    assert not torch.equal(network(x), network(x))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: CNN(1, 2, kernel_size=4), "kernel_size must be odd"),
        (lambda: CNN(1, 2, kernel_size=(3, 4, 5)), "kernel_size must be odd"),
        (lambda: CNN(1, 2, kernel_size=(3, 5)), "2 sizes for 3 blocks"),
        (lambda: CNN(1, 2, dims=3), "1 or 2 dimensions"),
        (lambda: ResCNN(1, 2, kernel_size=(8, 5, 3)), "kernel_size must be odd"),
        (lambda: ResCNN(1, 2, kernel_size=()), "no convolution"),
        (lambda: ResCNN(1, 2, dims=3), "1 or 2 dimensions"),
        (lambda: Transformer(3, 5, 2, width=10, heads=4), "multiple of heads"),
        (lambda: Transformer(3, 5, 2, convolution=2), "convolution must be odd"),
    ],
)
def test_sizes_that_cannot_be_are_refused(make: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        make()


@pytest.mark.parametrize("name", SMALL)
def test_a_checkpoint_saved_from_python_is_plain_and_loads_as_the_same_model(name: str, tmp_path: Path) -> None:
    architecture, settings = SMALL[name]
    data = small_data(torch.randn(30, 2, 7), torch.arange(30) % 3)
    objects = {
        "loss": nn.CrossEntropyLoss(label_smoothing=0.1),
        "optimizer": partial(torch.optim.SGD, lr=0.1),
        "schedule": Schedule(OneCycleLR),
    }
    model = model_for(data, architecture, **settings, **objects, dropout=0.3)
    trainer = quiet_trainer(max_epochs=1)
    trainer.fit(model, data)
    trainer.save_checkpoint(tmp_path / "model.ckpt")

    kept = torch.load(tmp_path / "model.ckpt", weights_only=True)["hyper_parameters"]
    assert kept.items() >= {"task": "multiclass", "modality": "series", "num_outputs": 3, "dropout": 0.3}.items()
    assert not [name for name in objects if kept.get(name) is not None]
    loaded = architecture.load_from_checkpoint(tmp_path / "model.ckpt", weights_only=True).eval()
    assert torch.equal(loaded(data.rows.x), model.eval()(data.rows.x))


def test_numpys_numbers_are_kept_as_pythons(tmp_path: Path) -> None:
    data = small_data(torch.randn(30, 4), torch.arange(30) % 3)
    data.num_outputs = numpy.int64(3)
    trainer = quiet_trainer(max_epochs=1)
    trainer.fit(model_for(data, LitMLP, hidden=[numpy.int64(4)], dropout=numpy.float64(0.3)), data)
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    kept = LitMLP.load_from_checkpoint(tmp_path / "model.ckpt", weights_only=True).hparams
    assert (kept["num_outputs"], kept["hidden"], kept["dropout"]) == (3, [4], 0.3)


def test_depth_is_what_was_asked_for() -> None:
    widths = [layer.weight.shape for layer in MLP(7, 2, hidden=(5, 4, 3)).modules() if isinstance(layer, nn.Linear)]
    assert widths == [(after, before) for before, after in pairwise((7, 5, 4, 3, 2))]
    assert len(encoder().layers) == 2
