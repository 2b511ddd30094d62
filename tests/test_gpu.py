"""One CUDA device: what a CPU computes, in half precision too, compiled, with the data on the device or pinned."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from conftest import Fit

from experiments.__main__ import main
from experiments.run.resume.exact_state import part_ways

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="these tests need a CUDA device"),
]

GPU = ["--trainer.accelerator", "gpu", "--trainer.devices", "1"]
CPU = ["--trainer.accelerator", "cpu", "--trainer.devices", "1"]
WORDS = ["--data", "Tiny", "--seed_everything", "1", "--trainer.max_epochs", "3", "--data.batch_size", "14"]


@pytest.fixture
def whole_floats() -> Iterator[None]:
    """float32 with all of its bits, which TF32 leaves out of products."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield
    torch.set_float32_matmul_precision(before)


@pytest.mark.usefixtures("whole_floats")
@pytest.mark.parametrize("model", ["LitLinear", "LitMLP", "LitCNN", "LitRNN", "LitTransformer"])
def test_metrics_are_those_of_the_cpu(fit: Fit, model: str) -> None:
    words = [*WORDS, "--model", model]
    if model != "LitLinear":
        words += ["--model.dropout", "0"]  # devices draw other numbers
    there, here = fit(*words, *GPU), fit(*words, *CPU)
    assert there["device"]["type"] == "cuda"
    assert there["metrics"] == pytest.approx(here["metrics"], abs=1e-4)


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_half_precision_trains(fit: Fit, precision: str) -> None:
    words = [*WORDS, "--model", "LitMLP", "--trainer.max_epochs", "30"]
    record = fit(*words, *GPU, "--trainer.precision", precision)
    assert record["metrics"]["test/loss"] == pytest.approx(fit(*words, *GPU)["metrics"]["test/loss"], abs=0.1)


def test_a_compiled_network_keeps_its_names(fit: Fit) -> None:
    words = [*WORDS, "--model", "LitCNN", "--model.dropout", "0", *GPU]
    states = [
        torch.load(fit(*words, *more)["path"] / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for more in ([], ["--model.compile", "true"])
    ]
    assert list(states[0]) == list(states[1])


@pytest.mark.parametrize("place", ["auto", "cpu"])
def test_batches_reach_the_model_on_the_device(fit: Fit, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    from lit_models import LitModel

    devices = set()
    step = LitModel.training_step

    def look(self: LitModel, batch: dict[str, torch.Tensor], index: int) -> Any:
        devices.add(batch["x"].device.type)
        return step(self, batch, index)

    monkeypatch.setattr(LitModel, "training_step", look)
    fit(*WORDS, "--model", "LitLinear", *GPU, "--data.device", place)
    assert devices == {"cuda"}


@pytest.mark.usefixtures("whole_floats")
@pytest.mark.parametrize("place", ["auto", "cpu"])
def test_images_are_changed_and_normalized_on_the_device_as_on_the_cpu(fit: Fit, tmp_path: Path, place: str) -> None:
    images = numpy.random.default_rng(0).integers(0, 256, (90, 8, 8), dtype=numpy.uint8)
    numpy.savez(tmp_path / "images.npz", images=images, labels=numpy.arange(90) % 3)
    words = ["--data", "ImageData", "--data.path", str(tmp_path / "images.npz"), "--model", "LitCNN"]
    words += ["--data.augment", "{flip: 0.5, crop: 1, jitter: 0.1}", "--model.dropout", "0", *WORDS[2:]]
    there, here = fit(*words, *GPU, "--data.device", place), fit(*words, *CPU)
    assert there["metrics"] == pytest.approx(here["metrics"], abs=1e-4)


def test_no_two_processes_draw_the_same() -> None:
    draws = []
    for rank in range(4):
        torch.manual_seed(5)
        part_ways(rank)
        draws.append(tuple(torch.rand(4, device="cuda").tolist()))
    assert len(set(draws)) == 4


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_fully_sharded_training_leaves_a_checkpoint_that_predicts(fit: Fit, precision: str) -> None:
    words = ["--data", "TinyRegression", *WORDS[2:], "--model", "LitTransformer", "--trainer.precision", precision]
    record, whole = fit(*words, *GPU, "--trainer.strategy", "fsdp"), fit(*words, *GPU)
    (best,) = (record["path"] / "checkpoints").glob("best*")
    states = [torch.load(run["path"] / "checkpoints" / "last.ckpt", weights_only=True) for run in (record, whole)]
    one, other = (state["state_dict"]["task.center"] for state in states)
    assert torch.equal(one.cpu(), other.cpu())
    assert main(["test", "--trust", "tiny_package", "--ckpt_path", str(best), *CPU, "--trainer.strategy", "auto"]) == 0
