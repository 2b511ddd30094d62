"""Numbers of fewer bits, or of more: what is measured against stays as it is, and a processor without them trains."""

import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import polars
import pytest
import torch
from conftest import Fit
from diagonal import diagonal
from paths import REPOSITORY
from tiny_data import PLAIN

from experiments.__main__ import main
from experiments.run import precision
from experiments.run.precision import fast_precision
from experiments.run.record import run_directory
from lit_models.cpu import cpu_features
from lit_models.networks import rnn

WORDS = "--data Diabetes --model LitMLP --model.dropout 0 --trainer.max_epochs 3 --seed_everything 1"


@pytest.fixture(scope="module")
def targets() -> list[float]:
    from datamodules import Diabetes

    data = Diabetes()
    data.setup("test")
    assert data.split is not None
    return data.targets(data.split.test).flatten().tolist()


@pytest.mark.parametrize(
    "bits",
    ["bf16-true", "64-true", *(pytest.param(bits, marks=pytest.mark.slow) for bits in ("16-true", "bf16-mixed"))],
)
def test_targets_and_their_statistics_keep_all_of_their_bits(fit: Fit, targets: list[float], bits: str) -> None:
    words = [*WORDS.split(), "--trainer.accelerator", "cpu", "--model.optimizer.lr", "1e-3", *PLAIN]
    words += ["--data.batch_size", "100"]
    whole, record = fit(*words, "--run", "whole"), fit(*words, "--run", "a", "--trainer.precision", bits)
    assert polars.read_parquet(record["path"] / "predictions.parquet")["target"].to_list() == targets
    one, other = (
        torch.load(run["path"] / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for run in (whole, record)
    )
    assert torch.equal(one["task.center"], other["task.center"])
    assert torch.equal(one["task.scale"], other["task.scale"])
    assert record["metrics"] == pytest.approx(whole["metrics"], rel=0.1)


@pytest.mark.parametrize(
    ("words", "bits"),
    diagonal(
        [
            "--data Diabetes --model.loss HuberLoss",
            "--data Digits --model.class_weights true",
            "--data Digits --model.class_weights true --model.loss MultiMarginLoss --model.mixup 0.2",
        ],
        ["bf16-true", "64-true", "bf16-mixed"],
    ),
)
def test_a_loss_has_float32_at_least(fit: Fit, words: str, bits: str) -> None:
    """Some of torch's take no outputs and targets of unlike bits, and no weights of others than the outputs'."""
    words = f"{words} --model LitMLP --model.dropout 0 --trainer.max_epochs 2 --seed_everything 1"
    whole = fit(*words.split(), "--run", "whole")
    other = fit(*words.split(), "--run", "other", "--trainer.precision", bits)
    assert other["metrics"]["test/loss"] == pytest.approx(whole["metrics"]["test/loss"], rel=0.1)
    weights = [
        torch.load(run["path"] / "checkpoints/last.ckpt", weights_only=True)["state_dict"].get("loss.weight")
        for run in (whole, other)
    ]
    if "class_weights" in words:
        assert torch.equal(weights[0], weights[1].float())


OWN = """\
import torch
from torch import nn
from torch.nn import functional


class OwnLoss(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(10, 10)
        with torch.no_grad():
            self.layer.weight.copy_(torch.eye(10)), self.layer.bias.zero_()

    def forward(self, outputs, target):
        weight = torch.linspace(1, 2, outputs.shape[1])
        assert outputs.dtype == weight.dtype == self.layer.weight.dtype, outputs.dtype
        return functional.cross_entropy(self.layer(outputs), target, weight=weight)
"""


MORE = ["", "--model.mixup 0.2 --trainer.gradient_clip_val 1"]


@pytest.mark.parametrize(
    ("more", "bits"),
    [
        *diagonal(MORE, ["bf16-true", "bf16-mixed"]),
        *(pytest.param(more, "64-true", marks=pytest.mark.slow) for more in MORE),
    ],
)
def test_a_loss_of_ones_own_has_parameters_and_makes_tensors(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bits: str, more: str
) -> None:
    (tmp_path / "of_ones_own.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    words = f"--trust of_ones_own --data Digits --model LitMLP --model.loss of_ones_own.OwnLoss {more}"
    words += " --trainer.max_epochs 2 --seed_everything 1"
    whole = fit(*words.split(), "--run", "whole")
    other = fit(*words.split(), "--run", "other", "--trainer.precision", bits)
    assert other["metrics"]["test/loss"] == pytest.approx(whole["metrics"]["test/loss"], rel=0.1)


@pytest.mark.parametrize(("algorithm", "steps"), diagonal(["norm", "value"], [1, 5]))
def test_gradients_are_clipped_beside_a_fused_optimizer(fit: Fit, algorithm: str, steps: int) -> None:
    words = f"--data Digits --model LitMLP --model.dropout 0 --seed_everything 1 --model.steps_per_execution {steps}"
    words += " --model.optimizer SGD --model.optimizer.lr 1 --trainer.precision bf16-mixed --trainer.max_steps 5"
    small = f"{words} --trainer.gradient_clip_val 1e-7 --trainer.gradient_clip_algorithm {algorithm}"
    after_five, after_one, free = (
        torch.load(fit(*one.split())["path"] / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for one in (small, f"{small} --trainer.max_steps 1", words)
    )
    for name, weight in after_five.items():
        if name.endswith("weight"):
            torch.testing.assert_close(weight, after_one[name], rtol=0, atol=1e-6)
            assert not torch.allclose(weight, free[name], rtol=0, atol=1e-3)


@pytest.mark.parametrize(("bits", "momentum"), diagonal(["bf16-true", "16-true"], [0, 0.9]))
def test_sgd_moves_weights_of_16_bits(fit: Fit, bits: str, momentum: float) -> None:
    """The fused one of torch 2.13 does not on a CPU, but for the last few of each parameter."""
    words = "--data Digits --model LitMLP --model.dropout 0 --seed_everything 1 --trainer.max_epochs 3"
    words += f" --model.optimizer SGD --model.optimizer.lr 0.02 --model.optimizer.momentum {momentum}"
    whole, half = fit(*words.split()), fit(*words.split(), "--trainer.precision", bits)
    assert half["metrics"]["test/loss"] == pytest.approx(whole["metrics"]["test/loss"], rel=0.1)


def test_a_fused_sgd_that_would_not_move_is_refused(refused: Callable[..., str]) -> None:
    words = "--data Digits --model LitMLP --model.optimizer SGD --model.optimizer.fused true --model.optimizer.lr 0.1"
    assert "fused" in refused(*words.split(), "--trainer.precision", "bf16-true")


@pytest.mark.parametrize("bits", [pytest.param("64-true", marks=pytest.mark.slow), "bf16-true"])
def test_a_run_that_goes_on_has_the_bits_that_it_had(fit: Fit, root: Path, bits: str) -> None:
    words = f"--data Digits --model LitMLP --seed_everything 1 --trainer.precision {bits} --experiment e".split()
    words += ["--model.schedule", "null"]  # whose length would be that of the run
    fit(*words, "--run", "whole", "--trainer.max_epochs", "2")
    fit(*words, "--run", "one", "--trainer.max_epochs", "1")
    more = ["--run", "one", "--trainer.max_epochs", "2", "--trainer.default_root_dir", str(root), "--figures", "false"]
    assert main(["fit", *words, *more]) == 0
    one, other = (
        torch.load(root / "runs" / "e" / run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for run in ("whole", "one")
    )
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def test_statistics_move_and_come_from_nowhere_as_other_buffers() -> None:
    from lit_models import LitLinear

    made = LitLinear(task="regression", modality="table", input_shape=(3,), num_outputs=1)
    made.task.set_target_statistics(torch.tensor([1e6 + 1]), torch.tensor([3.0]))
    assert made.bfloat16().float().task.center.item() == 1e6 + 1
    assert made.to("meta").task.center.is_meta
    assert made.to_empty(device="cpu").task.center.dtype == torch.float64


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_recurrent_layer_stays_in_float32_where_the_processor_has_no_bfloat16(
    monkeypatch: pytest.MonkeyPatch, cell: Literal["lstm", "gru"]
) -> None:
    monkeypatch.setattr(rnn, "has_bfloat16", lambda: False)
    layer, x = rnn.RecurrentLayer(3, cell, 4, bidirectional=True), torch.randn(2, 5, 3)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = layer(x)
        halves = layer(x.bfloat16())
    assert torch.equal(outputs, layer(x))
    assert torch.equal(halves, layer(x.bfloat16().float()))
    outputs.sum().backward()
    assert all(one.grad is not None and one.grad.dtype == torch.float32 for one in layer.parameters())


CPUINFO = Path("/proc/cpuinfo")


@pytest.mark.skipif(platform.machine() != "x86_64" or not CPUINFO.exists(), reason="needs Linux on an x86 processor")
def test_linux_says_the_same_of_the_processor() -> None:
    assert cpu_features.has_bfloat16() == (" avx512_bf16 " in CPUINFO.read_text())


@pytest.mark.parametrize("here", [True, False])
def test_a_processor_without_bfloat16_says_that_it_takes_long(
    fit: Fit, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], here: bool
) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda: here)
    words = [*WORDS.split()[:-4], "--trainer.max_epochs", "1", "--trainer.precision"]
    record = fit(*words, "bf16-mixed")
    assert record["precision"] == "bf16-mixed"
    assert ("no bfloat16, so that bf16-mixed may take many times as long" in capfd.readouterr().out) is not here
    assert not any("bfloat16" in note for note in record["notes"])  # a model that is taken elsewhere has them with it
    fit(*words, "32-true")
    assert "bfloat16" not in capfd.readouterr().out


FAST = str(REPOSITORY / "experiments/configs/trainer/fast.yaml")


@pytest.mark.parametrize(("expected", "named"), diagonal(["bf16-mixed", "32-true"], [True, False]))
def test_the_fast_preset_trains_in_what_the_processor_has_and_goes_on_in_it(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    expected: str,
    named: bool,
) -> None:
    """A run goes on by its name, or by its job's, which is started again on another devices."""
    here = expected == "bf16-mixed"
    monkeypatch.setattr(precision, "has_bfloat16", lambda: here)
    monkeypatch.setattr(run_directory, "job_id", lambda: "77")
    words = ["fit", "-c", FAST, *WORDS.split(), "--trainer.accelerator", "cpu", "--trainer.default_root_dir", str(root)]
    words += ["--run", "one"] * named
    assert main(words) == 0
    (path,) = root.glob("runs/*/*")
    record = json.loads((path / "record.json").read_text())
    assert record["precision"] == expected
    assert f"--trainer.precision auto is {expected} in this run" in capfd.readouterr().out
    assert f"precision: {expected}" in (path / "config.yaml").read_text()
    record |= {"status": "interrupted"}
    (path / "record.json").write_text(json.dumps(record))
    monkeypatch.setattr(precision, "has_bfloat16", lambda: not here)
    assert main(words) == 0
    assert list(root.glob("runs/*/*")) == [path]
    assert json.loads((path / "record.json").read_text())["precision"] == expected
    assert f"--trainer.precision auto is {expected} in this run" in capfd.readouterr().out


def test_the_fast_preset_is_that_precision_typed(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)
    preset = fit("-c", FAST, *WORDS.split(), "--trainer.accelerator", "cpu")
    typed = fit(*WORDS.split(), "--trainer.accelerator", "cpu", "--trainer.precision", "bf16-mixed")
    assert preset["precision"] == "bf16-mixed"
    assert preset["metrics"] == typed["metrics"]


@pytest.mark.parametrize(
    ("accelerator", "gpu", "expected"),
    [
        ("auto", None, "32-true"),
        ("auto", True, "bf16-mixed"),
        ("gpu", True, "bf16-mixed"),
        ("cuda", False, "16-mixed"),
        ("cpu", True, "32-true"),
        ("tpu", None, "32-true"),
    ],
)
def test_auto_follows_the_accelerator(
    monkeypatch: pytest.MonkeyPatch, accelerator: str, gpu: bool | None, expected: str
) -> None:
    """Of a GPU: whether it multiplies bfloat16; None where there is none."""
    monkeypatch.setattr(precision, "has_bfloat16", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu is not None)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: gpu)
    assert fast_precision(accelerator) == expected
