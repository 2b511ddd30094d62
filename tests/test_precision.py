"""Weights of fewer bits, or of more: what is measured against stays as it is."""

import polars
import pytest
import torch
from conftest import Fit

WORDS = "--data Diabetes --model LitMLP --model.dropout 0 --trainer.max_epochs 3 --seed_everything 1"


@pytest.fixture(scope="module")
def targets() -> list[float]:
    from datamodules import Diabetes

    data = Diabetes()
    data.setup("test")
    assert data.split is not None
    return data.targets(data.split.test).flatten().tolist()


@pytest.mark.parametrize("precision", ["bf16-true", "16-true", "64-true", "bf16-mixed"])
def test_targets_and_their_statistics_keep_all_of_their_bits(fit: Fit, targets: list[float], precision: str) -> None:
    words = [*WORDS.split(), "--trainer.accelerator", "cpu"]
    whole, record = fit(*words, "--run", "whole"), fit(*words, "--run", "a", "--trainer.precision", precision)
    assert polars.read_parquet(record["path"] / "predictions.parquet")["target"].to_list() == targets
    one, other = (
        torch.load(run["path"] / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for run in (whole, record)
    )
    assert torch.equal(one["task.center"], other["task.center"])
    assert torch.equal(one["task.scale"], other["task.scale"])
    assert record["metrics"] == pytest.approx(whole["metrics"], rel=0.1)


def test_statistics_move_and_come_from_nowhere_as_other_buffers() -> None:
    from lit_models import LitLinear

    made = LitLinear(task="regression", modality="table", input_shape=(3,), num_outputs=1)
    made.task.set_target_statistics(torch.tensor([1e6 + 1]), torch.tensor([3.0]))
    assert made.to("meta").task.center.is_meta
    assert made.to_empty(device="cpu").task.center.dtype == torch.float64
