"""``--data`` with a LightningDataModule of another package: its loaders, our facts, record, evaluation and resume."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
import torch
import yaml
from conftest import Fit
from foreign_lightning_data import Tensors, WavesModule, rows_of
from fork_server import Server, server
from resumed_runs import assert_equal, run, state
from sklearn.metrics import accuracy_score
from torch.utils.data import random_split

from datamodules import LightningData
from datamodules.loading.outside_loader import OutsideLoader
from experiments.__main__ import main
from lit_models import LitMLP

TRUST = ("--trust", "foreign_lightning_data")
WAVES = (*TRUST, "--data", "foreign_lightning_data.WavesModule", "--seed_everything", "3")


@pytest.fixture(scope="module")
def forks() -> Iterator[Server]:
    with server() as running:
        yield running


def test_facts_are_read_off_and_a_run_is_recorded_and_predicts(fit: Fit, root: Path) -> None:
    words = ("--data.batch_size", "20", "--model", "LitCNN", "--model.channels", "[4]", "--trainer.max_epochs", "2")
    record = fit(*WAVES, *words)
    path = record["path"]
    assert path.parent.name == "wavesmodule"
    assert record["data"] == "WavesModule"
    assert record["rows"] == {"train": 140, "val": 30, "test": 30}
    assert record["step"]["batch_size"] == 20
    config = yaml.safe_load((path / "config.yaml").read_text())["data"]
    held = {"class_path": "foreign_lightning_data.WavesModule", "init_args": {"batch_size": 20, "workers": 0}}
    assert config == {"class_path": "datamodules.LightningData", "init_args": {"datamodule": held}}
    rows = polars.read_parquet(path / "predictions.parquet")
    predicted = rows.select("^prediction_.*$").to_numpy().argmax(1)
    assert record["metrics"]["test/accuracy"] == pytest.approx(accuracy_score(rows["target"], predicted))
    # the split of each setup is that of seed 0
    test = random_split(rows_of(), [140, 30, 30], generator=torch.Generator().manual_seed(0))[2]
    assert len(test) == 30
    assert main(["test", *TRUST, "--ckpt_path", str(path), "--trainer.default_root_dir", str(root)]) == 0
    numpy.save(root / "x.npy", torch.stack([x for x, _ in _test_rows()]).numpy())
    assert (
        main(["predict", "--ckpt_path", str(path), "--input", str(root / "x.npy"), "--output", str(root / "p.csv")])
        == 0
    )
    again = polars.read_csv(root / "p.csv").select("^probability_.*$").to_numpy()
    assert numpy.allclose(again, rows.select("^prediction_.*$").to_numpy(), atol=1e-6)
    assert main(["export", "--ckpt_path", str(path), "--format", "torch-export", "--output", str(root / "graph")]) == 0


def _test_rows() -> Any:
    return LightningData(WavesModule()).inner.test


def test_unseeded_splits_of_two_stages_and_two_instances_are_the_same() -> None:
    torch.manual_seed(1)
    first = LightningData(WavesModule())
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = LightningData(WavesModule(workers=0))
    assert torch.equal(torch.get_rng_state(), before)
    assert first.inner.test.indices == second.inner.test.indices
    assert first.fingerprints() == second.fingerprints()
    assert not {*first.inner.test.indices} & {*first.inner.train.indices}


@pytest.mark.parametrize(
    ("kind", "task", "outputs"),
    [
        ("multiclass", "multiclass", 3),
        ("binary", "binary", 1),
        ("multilabel", "multilabel", 2),
        ("regression",) * 2 + (1,),
    ],
)
def test_the_task_follows_from_the_targets(fit: Fit, kind: str, task: str, outputs: int) -> None:
    data = LightningData(Tensors(kind))
    assert (data.task, data.num_outputs, data.modality, data.input_shape) == (task, outputs, "table", (4,))
    words = (*TRUST, "--data", "foreign_lightning_data.Tensors", "--data.kind", kind, "--trainer.max_epochs", "3")
    record = fit(*words, "--model", "LitMLP")
    assert record["task"] == task
    if task == "regression":
        rows = polars.read_parquet(record["path"] / "predictions.parquet")
        assert record["metrics"]["test/mae"] == pytest.approx((rows["target"] - rows["prediction"]).abs().mean())
        assert data.class_counts() is None
    else:
        assert int(data.class_counts().sum()) == (180 if task == "multilabel" else 90)  # type: ignore[union-attr]


def test_attributes_win(fit: Fit) -> None:
    words = (*TRUST, "--data", "foreign_lightning_data.Declared", "--model", "LitLinear", "--trainer.max_epochs", "1")
    rows = polars.read_parquet(fit(*words)["path"] / "predictions.parquet")
    assert {"prediction_low", "prediction_high"} <= {*rows.columns}


def test_a_foreign_module_trains_on_a_foreign_data_module(fit: Fit) -> None:
    trust = (*TRUST, "--trust", "foreign_lightning")
    words = ("--data", "foreign_lightning_data.WavesModule", "--model", "foreign_lightning.ConvModule")
    assert "test/accuracy" in fit(*trust, *words, "--trainer.max_epochs", "1")["metrics"]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_killed_run_ends_as_the_uninterrupted_one(forks: Server, tmp_path: Path, workers: str) -> None:
    """Order, augmentation and dropout go on where they were."""
    words = f"""fit --trust faults {" ".join(WAVES)} --data.workers {workers} --model LitCNN --model.channels [4,4]
        --model.dropout 0.2 --trainer.max_epochs 3 --run one --experiment e --trainer.callbacks+ faults.Pause
        --trainer.callbacks+ EarlyStopping --trainer.callbacks.monitor val/loss --save_every_n_steps 3
        --figures false""".split()
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    expected = state(run(forks, tmp_path / "whole", words))
    child = forks.start(words, tmp_path / "killed", PAUSE_AT="step 16")
    child.wait_for(tmp_path / "killed" / "reached")
    child.kill()
    assert_equal(state(run(forks, tmp_path / "killed", words)), expected)


def test_a_pass_is_a_function_of_seed_and_epoch() -> None:
    data = WavesModule()
    data.setup("fit")

    def batches(epoch: int, seed: int = 1) -> list[torch.Tensor]:
        loader = OutsideLoader(data.train_dataloader(), seed=seed)
        loader.set_epoch(epoch)
        torch.rand(epoch + 1)
        return [x for x, _ in loader]

    assert all(map(torch.equal, batches(2), batches(2)))
    assert not torch.equal(batches(1)[0], batches(2)[0])
    assert not torch.equal(batches(1)[0], batches(1, seed=2)[0])


MISFITS = {
    "NoTest": "NoTest has no test_dataloader; a LightningDataModule needs train_dataloader and test_dataloader",
    "Shuffled": "Shuffled.test_dataloader yields other rows in a second pass; leave shuffle and random transforms out "
    "of it",
    "Triples": "a batch of Triples is a tuple of float32 (30, 4), int64 (30,), int64 (30,); return (x, y), tensors "
    "with x (N, F) of a table, (N, C, T) of series or (N, C, H, W) of images; for texts derive a data set from "
    "InMemoryData",
    "Texts": "a batch of Texts is a tuple of float32 (30, 4), int64 (30,); return (x, y), tensors with x (N, F) of a "
    "table, (N, C, T) of series or (N, C, H, W) of images; for texts derive a data set from InMemoryData",
    "Several": "Several.train_dataloader returns a list; return one loader with a length",
}


@pytest.mark.parametrize("name", MISFITS)
def test_a_misfit_is_one_sentence(refused: Callable[..., str], name: str) -> None:
    words = (*TRUST, "--data", f"foreign_lightning_data.{name}", "--model", "LitMLP")
    assert refused(*words) == f"error: {MISFITS[name]}"


def test_several_devices_and_batch_size_finders_are_refused(refused: Callable[..., str]) -> None:
    finder = "--trainer.callbacks+=BatchSizeFinder"
    message = (
        "error: BatchSizeFinder sets --data.batch_size, and the loaders of WavesModule have their own; leave it out"
    )
    assert refused(*WAVES, "--model", "LitCNN", finder) == message


def test_from_python_a_model_gets_its_facts() -> None:
    model = LitMLP.for_data(LightningData(Tensors("binary")))
    assert (model.task.name, model.num_outputs) == ("binary", 1)
    assert json.dumps(model.hparams["input_shape"]) == "[4]"
