"""FLOPs of a forward pass in a run's record: against counts by hand and torch's own counter, or none at all."""

import json
import random
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.flop_counter import FlopCounterMode
from wave_series import waves

from experiments.__main__ import main
from experiments.internals.torch_flops_private import FORMULAS, FlopCount
from experiments.run.record import record
from experiments.run.record.forward_flops import forward_flops
from lit_models import LitCNN, LitModule, LitResCNN, LitResMLP, LitTabM
from lit_models.any_network.network_factory import NetworkFactory

QUIET = ("--trainer.max_epochs", "1", "--figures", "false", "--experiment", "e", "--test_at_end", "false")
TINY = ("--trust", "tiny_package", "--data", "Tiny")
SERIES: dict[str, Any] = {"task": "multiclass", "modality": "series", "input_shape": (2, 24), "num_outputs": 3}
TABLE: dict[str, Any] = {"task": "multiclass", "modality": "table", "input_shape": (4,), "num_outputs": 3}


def content(folder: Path, run: str, *words: str) -> dict[str, Any]:
    where = ("--trainer.default_root_dir", str(folder), "--run", run, "--seed_everything", "0")
    assert main(["fit", *words, *QUIET, *where]) == 0
    return dict(json.loads((folder / "runs" / "e" / run / "record.json").read_text()))


def recurrent(gates: int, hidden: int, inputs: int) -> int:
    """Counts two directions over 24 steps, and a head of 3 outputs."""
    return 2 * 24 * 2 * gates * hidden * (inputs + hidden) + 2 * 2 * hidden * 3


def transformer(tokens: int, width: int) -> int:
    """Counts one layer: embedding of 2 channels, queries, keys and values, attention, output, feed-forward, head."""
    layer = 2 * tokens * width * (3 * width + width + 2 * 4 * width) + 2 * 2 * tokens * tokens * width
    return 2 * tokens * 2 * width + layer + 2 * width * 3


BY_HAND = {
    "linear": (TINY, ("LitLinear",), 2 * 4 * 3),
    "mlp": (TINY, ("LitMLP", "--model.hidden", "[8, 5]"), 2 * (4 * 8 + 8 * 5 + 5 * 3)),
    "lstm": ((), ("LitRNN", "--model.hidden", "6"), recurrent(4, 6, 2)),
    "gru": ((), ("LitRNN", "--model.hidden", "6", "--model.cell", "gru"), recurrent(3, 6, 2)),
    "transformer": (
        (),
        ("LitTransformer", "--model.width", "8", "--model.heads", "2", "--model.num_layers", "1"),
        transformer(24, 8),
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_record_has_the_count_by_hand(tmp_path: Path, name: str) -> None:
    data, model, count = BY_HAND[name]
    if not data:
        arrays = waves(60)
        numpy.savez(tmp_path / "waves.npz", x=arrays["x"], y=arrays["y"], lengths=arrays["lengths"])
        data = ("--data", "SeriesData", "--data.path", str(tmp_path / "waves.npz"))
    extra = ("--model.convolution", "1") if name == "transformer" else ()
    assert content(tmp_path, "a", *data, "--model", *model, *extra)["flops"] == count


@pytest.mark.parametrize(
    ("architecture", "facts"), [(LitCNN, SERIES), (LitResCNN, SERIES), (LitResMLP, TABLE), (LitTabM, TABLE)]
)
def test_where_torchs_counter_knows_all_operators_it_has_the_same(architecture: Any, facts: dict[str, Any]) -> None:
    model = architecture(**facts).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, *facts["input_shape"]))
    assert forward_flops(model) == counter.get_total_flops() > 0


class Packed(nn.Module):
    """Packed rows of 5 and 3 steps, in two directions and two layers with projections."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.LSTM(4, 6, num_layers=2, bidirectional=True, proj_size=3, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        packed, _ = self.layers(pack_padded_sequence(x, torch.tensor([5, 3]), batch_first=True))
        assert packed.data.shape == (8, 6)
        return packed.data


def test_packed_recurrent_layers_are_counted_and_have_their_shapes() -> None:
    with FlopCount() as count, torch.no_grad():
        Packed()(torch.zeros(2, 5, 4))
    first, second = 24 * 4 + 24 * 3 + 3 * 6, 24 * 6 + 24 * 3 + 3 * 6
    assert (count.total, count.uncounted) == (2 * 8 * 2 * (first + second), set())


def test_an_affine_map_of_onednn_is_counted_as_any_other() -> None:
    if "mkldnn::_linear_pointwise" not in FORMULAS or not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    with FlopCount() as count, torch.no_grad():
        torch.ops.mkldnn._linear_pointwise(torch.zeros(7, 4), torch.zeros(5, 4), None, "none", [], "")
    assert (count.total, count.uncounted) == (2 * 7 * 4 * 5, set())


class Foreign(nn.Module):
    """A linear layer, and before it what its ``kind`` names."""

    def __init__(self, kind: str, in_features: int, out_features: int) -> None:
        super().__init__()
        self.kind, self.layer, self.seen = kind, nn.Linear(in_features, out_features), 0
        self.register_buffer("rows", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        match self.kind:
            case "fft":
                x = torch.fft.fft(x).real
            case "distances":
                x = x + torch.cdist(x, x).sum()
            case "vector":
                x = x + (x @ x[0]).unsqueeze(1)
            case "two rows":
                assert len(x) > 1
            case "draws":
                x = x + torch.rand(1) + random.random() + numpy.random.rand()
                self.rows += len(x)  # type: ignore[operator]
            case "norm":
                x = functional.normalize(functional.layer_norm(x, x.shape[1:]))
        return self.layer(x)


def foreign(kind: str) -> LitModule:
    return LitModule(NetworkFactory.of(Foreign, kind=kind), **TABLE)


@pytest.mark.parametrize("kind", ["fft", "distances", "vector", "two rows"])
def test_what_cannot_be_counted_is_no_number(kind: str) -> None:
    assert forward_flops(foreign(kind)) is None


@pytest.mark.parametrize("kind", ["draws", "norm"])
def test_a_network_of_the_users_own_is_counted_and_left_as_it_is(kind: str) -> None:
    model = foreign(kind)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    states = random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[index]
    assert forward_flops(model) == 2 * 4 * 3
    after = random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[index]
    assert states == after
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())


def test_counting_changes_no_bit_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = (*TINY, "--model", "LitMLP", "--model.dropout", "0.3")
    counted = content(tmp_path, "counted", *words)
    monkeypatch.setattr(record, "forward_flops", lambda model: None)
    without = content(tmp_path, "without", *words)
    assert (counted["flops"] > 0, without["flops"]) == (True, None)
    assert counted["validation"] == without["validation"]
    weights = [
        torch.load(tmp_path / f"runs/e/{run}/checkpoints/last.ckpt", weights_only=False)["state_dict"]
        for run in ("counted", "without")
    ]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
