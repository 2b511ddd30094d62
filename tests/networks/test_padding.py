"""Padding changes no output: not what stands in it, and not how much of it there is."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_data import QUICK
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lit_models import LitCNN, LitLinear, LitMLP, LitModel, LitResCNN, LitRNN, LitTransformer
from lit_models.networks import CNN, RNN

STEPS, VOCAB_SIZE = 11, 9
FACTS: dict[str, dict[str, Any]] = {
    "series": {"modality": "series", "input_shape": (2, STEPS)},
    "text": {"modality": "text", "input_shape": (STEPS,), "vocab_size": VOCAB_SIZE},
}
SMALL: dict[str, tuple[type[LitModel], dict[str, Any]]] = {
    "linear": (LitLinear, {}),
    "mlp": (LitMLP, {"hidden": [8]}),
    "cnn": (LitCNN, {"channels": [4, 6, 5]}),
    "cnn with layer norm": (LitCNN, {"channels": [4, 6, 5], "norm": "layer"}),
    "cnn without norm": (LitCNN, {"channels": [4, 5], "norm": "none"}),
    "cnn without pools": (LitCNN, {"channels": [4], "kernel_size": 3, "pool_blocks": 0}),
    "residual": (LitResCNN, {"channels": [2, 5], "kernel_size": [3, 3], "pool_blocks": 1}),
    "lstm": (LitRNN, {"cell": "lstm", "hidden": 4, "num_layers": 2}),
    "gru": (LitRNN, {"cell": "gru", "hidden": 4}),
    "one direction": (LitRNN, {"cell": "gru", "hidden": 4, "bidirectional": False}),
    "transformer": (LitTransformer, {"width": 8, "heads": 2, "num_layers": 2, "convolution": 3}),
    "class token": (LitTransformer, {"width": 8, "heads": 2, "num_layers": 1, "pooling": "class_token"}),
}
LENGTHS = st.lists(st.integers(1, STEPS), min_size=2, max_size=5)
both = pytest.mark.parametrize("modality", FACTS)
every = pytest.mark.parametrize("name", SMALL)
exported = pytest.mark.parametrize(
    ("modality", "name"),
    [
        pytest.param(modality, name, marks=() if number % 2 == place else pytest.mark.slow)
        for number, name in enumerate(SMALL)
        for place, modality in enumerate(FACTS)
    ],
)
"""Each network with one of the modalities; the other is slow."""

FEW = settings(QUICK, max_examples=12)


def model_of(name: str, modality: str) -> LitModel:
    torch.manual_seed(0)
    architecture, settings = SMALL[name]
    model = architecture(task="multiclass", num_outputs=3, **FACTS[modality], **settings, dropout=0.0)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.LayerNorm):  # its shift must not be what hides the padding
            nn.init.normal_(norm.bias)
        if isinstance(norm, nn.BatchNorm1d):
            nn.init.normal_(norm.running_mean)
    return model


def rows_of(modality: str, lengths: list[int], seed: int) -> list[Tensor]:
    draw = torch.Generator().manual_seed(seed)
    if modality == "text":
        return [torch.randint(1, VOCAB_SIZE, (length,), generator=draw) for length in lengths]
    return [torch.randn(2, length, generator=draw) for length in lengths]


def padded(rows: list[Tensor], steps: int, filling: float = 0) -> dict[str, Tensor]:
    x = torch.stack([functional.pad(row, (0, steps - row.shape[-1]), value=filling) for row in rows])
    return {"x": x, "lengths": torch.tensor([row.shape[-1] for row in rows])}


def gradients(model: LitModel, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """In float64: batch norm of two steps that are nearly equal multiplies float32's rounding by hundreds."""
    model.double().train().zero_grad()
    batch = {name: value.double() if value.is_floating_point() else value for name, value in batch.items()}
    loss = functional.cross_entropy(model(**batch), torch.arange(len(batch["x"])) % 3)
    loss.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()} | {"loss": loss.detach()}


@both
@every
@FEW
@given(lengths=LENGTHS, more=st.integers(0, STEPS), seed=st.integers(0, 99))
def test_a_padded_row_has_the_outputs_that_it_has_alone(
    modality: str, name: str, lengths: list[int], more: int, seed: int
) -> None:
    model = model_of(name, modality).eval()
    rows = rows_of(modality, lengths, seed)
    # A vector of steps has a fixed length: there, what a row alone means is that zeros follow it.
    is_flat = modality == "series" and name in ("linear", "mlp")
    alone = [functional.pad(row, (0, STEPS - row.shape[-1])) if is_flat else row for row in rows]
    expected = torch.cat([model(row.unsqueeze(0)) for row in alone])
    batch = padded(rows, min(STEPS, max(lengths) + more), filling=torch.nan if modality == "series" else 3)
    torch.testing.assert_close(model(**batch), expected, atol=1e-5, rtol=1e-5)


@both
@every
@FEW
@given(lengths=LENGTHS, seed=st.integers(0, 99))
def test_padding_changes_no_gradient(modality: str, name: str, lengths: list[int], seed: int) -> None:
    rows = rows_of(modality, lengths, seed)
    trimmed, long = padded(rows, max(lengths)), padded(rows, STEPS, torch.nan if modality == "series" else 3)
    expected, found = gradients(model_of(name, modality), trimmed), gradients(model_of(name, modality), long)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@both
@every
def test_lengths_of_rows_without_padding_change_nothing(modality: str, name: str) -> None:
    batch = padded(rows_of(modality, [STEPS] * 6, 0), STEPS)
    one, two = model_of(name, modality), model_of(name, modality)
    torch.testing.assert_close(gradients(one, batch), gradients(two, {"x": batch["x"]}), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(one.state_dict(), two.state_dict())


def test_batch_norm_learns_from_the_steps_that_count() -> None:
    torch.manual_seed(0)
    rows = rows_of("series", [3, 9, 1, 6], 0)
    network = CNN(2, 3, channels=(4,))
    (block,) = network.blocks
    steps = torch.cat([block.conv(row.unsqueeze(0)).squeeze(0) for row in rows], dim=1).detach().double().numpy()
    network(**padded(rows, STEPS))
    assert block.norm.running_mean.tolist() == pytest.approx(0.1 * steps.mean(axis=1), rel=1e-4)
    assert block.norm.running_var.tolist() == pytest.approx(0.9 + 0.1 * steps.var(axis=1, ddof=1), rel=1e-4)


def torchs(network: RNN, make: type[nn.LSTM] | type[nn.GRU], inputs: int, hidden: int) -> nn.LSTM | nn.GRU:
    """Torch's own stack of bidirectional layers with a network's weights."""
    theirs = make(inputs, hidden, len(network.layers), batch_first=True, bidirectional=True)
    ours = {
        name.replace("_l0", f"_l{index}") + ending: weight
        for index, layer in enumerate(network.layers)
        for direction, ending in ((layer.ahead, ""), (layer.back, "_reverse"))
        for name, weight in direction.state_dict().items()
    }
    theirs.load_state_dict(ours)
    return theirs


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("cell", "make"), [("lstm", nn.LSTM), ("gru", nn.GRU)])
@FEW
@given(lengths=LENGTHS)
def test_an_rnn_is_torchs_over_packed_sequences(cell: str, make: Any, layers: int, lengths: list[int]) -> None:
    torch.manual_seed(0)
    network = RNN(2, 3, cell, hidden=5, num_layers=layers).eval()
    batch = padded(rows_of("series", lengths, 0), STEPS)
    x = batch["x"].transpose(1, 2)
    packed = pack_padded_sequence(x, batch["lengths"], batch_first=True, enforce_sorted=False)
    theirs = torchs(network, make, 2, 5)
    states, _ = pad_packed_sequence(theirs(packed)[0], batch_first=True)  # with zeros for padding
    expected = network.head(states.sum(dim=1) / batch["lengths"].unsqueeze(1))
    torch.testing.assert_close(network(x, batch["lengths"]), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(network(x), network.head(theirs(x)[0].mean(dim=1)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layers", [1, 2])
def test_an_rnns_first_weights_are_those_that_torch_draws(layers: int) -> None:
    torch.manual_seed(0)
    network = RNN(2, 3, hidden=5, num_layers=layers)
    torch.manual_seed(0)
    theirs = nn.LSTM(2, 5, layers, bidirectional=True)
    ours = torchs(network, nn.LSTM, 2, 5)
    assert all(map(torch.equal, ours.parameters(), theirs.parameters()))


@every
def test_what_stands_for_padding_is_never_learned(name: str) -> None:
    model = model_of(name, "text").train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    (embedding,) = (one for one in model.modules() if isinstance(one, nn.Embedding))
    before = embedding.weight.detach().clone()
    gradients(model, padded([torch.tensor([1, 2, 3]), torch.tensor([4])], STEPS))
    optimizer.step()
    assert not embedding.weight[0].any()
    assert (embedding.weight[1:5] != before[1:5]).any(dim=1).all()


@pytest.mark.filterwarnings("ignore:.*_flat_weights.*")  # nn.LSTM's and nn.GRU's own
@exported
def test_a_model_that_knows_lengths_can_be_exported(modality: str, name: str) -> None:
    model = model_of(name, modality).eval()
    examples = padded(rows_of(modality, [4, 9, 2], 0), STEPS)
    rows = {0: torch.export.Dim("rows")}
    graph = torch.export.export(model.network, (), examples, dynamic_shapes={"x": rows, "lengths": rows}).module()
    for lengths in ([5], [1, 11, 7, 3, 10]):
        batch = padded(rows_of(modality, lengths, 1), STEPS)
        torch.testing.assert_close(graph(**batch), model(**batch), atol=1e-5, rtol=1e-5)
