"""Models with data of other loaders: tuples (x, y), plain LightningDataModules, and what a batch has to be."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch import LightningDataModule
from people_table import people
from tiny_data import QUICK, quiet_trainer, small_data
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from datamodules import TableData
from lit_models import ConfigError, LitCNN, LitLinear, LitMLP, LitModel

ROWS = 24
TARGETS = {
    "binary": torch.arange(ROWS) % 2,
    "multiclass": torch.arange(ROWS) % 3,
    "multilabel": torch.stack([torch.arange(ROWS) % 2, torch.arange(ROWS) % 3 // 2], dim=1),
    "regression": torch.linspace(0, 1, ROWS, dtype=torch.float64),
}
OUTPUTS = {"binary": 1, "multiclass": 3, "multilabel": 2, "regression": 1}
FACTS: dict[str, Any] = {"task": "multiclass", "modality": "table", "input_shape": (4,), "num_outputs": 3}


class Plain(LightningDataModule):
    """Data module of Lightning that knows nothing of Evenhand."""

    def __init__(self, *columns: Tensor) -> None:
        super().__init__()
        self.columns = columns

    def train_dataloader(self) -> Any:
        return DataLoader(TensorDataset(*self.columns), batch_size=5)

    val_dataloader = test_dataloader = predict_dataloader = train_dataloader


def as_dictionaries(batch: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    return {"x": torch.stack([x for x, _ in batch]), "y": torch.stack([y for _, y in batch])}


def weights(model: LitModel) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@settings(QUICK, max_examples=16)
@given(
    task=st.sampled_from([*TARGETS]),
    x_type=st.sampled_from([torch.float32, torch.float64, torch.uint8]),
    y_type=st.sampled_from([None, torch.int32, torch.float32]),
    column=st.booleans(),
    dictionary=st.booleans(),
)
def test_tuples_train_and_test_as_the_same_rows_of_our_loader(
    task: str, x_type: torch.dtype, y_type: torch.dtype | None, column: bool, dictionary: bool
) -> None:
    x, y = (torch.arange(4 * ROWS).view(ROWS, 4) % 7).to(x_type), TARGETS[task]
    facts: dict[str, Any] = {**FACTS, "task": task, "num_outputs": OUTPUTS[task]}
    given_y = y if y_type is None or task == "regression" else y.to(y_type)
    given_y = given_y.view(ROWS, -1) if column else given_y
    collate = as_dictionaries if dictionary else None
    other = DataLoader(TensorDataset(x, given_y), batch_size=5, collate_fn=collate)
    rows = [
        {"x": x[i : i + 5].float(), "y": y[i : i + 5], "row": torch.arange(i, min(ROWS, i + 5))}
        for i in range(0, ROWS, 5)
    ]
    results = []
    for loader in (other, DataLoader(rows, batch_size=None)):
        torch.manual_seed(0)
        model, trainer = LitLinear(**facts), quiet_trainer(max_epochs=2)
        trainer.fit(model, loader, loader)
        (metrics,) = trainer.test(model, loader, verbose=False)
        predictions = torch.cat([batch["prediction"] for batch in trainer.predict(model, loader)])
        results.append((weights(model), torch.tensor([*metrics.values()]), predictions))
    for one, same in zip(*results, strict=True):
        assert torch.equal(one.nan_to_num(-1), same.nan_to_num(-1))


def test_a_plain_data_module_needs_its_facts_alone() -> None:
    x, y = torch.randn(ROWS, 1, 8, 8), torch.arange(ROWS) % 2
    data = Plain(x, y)
    with pytest.raises(ConfigError, match=r"Plain has no task, modality, input_shape, num_outputs; set them as its"):
        LitCNN.for_data(data)
    data.modality, data.input_shape = "image", (1, 8, 8)
    model = LitCNN.for_data(data, task="multiclass", num_outputs=2, channels=[4])
    trainer = quiet_trainer(max_epochs=1)
    trainer.fit(model, data)
    assert set(trainer.test(model, data, verbose=False)[0]) >= {"test/loss", "test/accuracy"}
    (first, *_) = trainer.predict(model, DataLoader(TensorDataset(x), batch_size=5))
    assert first["prediction"].shape == (5, 2)


def test_for_data_gives_a_model_what_the_command_gives_it(tmp_path: Any) -> None:
    people().write_csv(tmp_path / "my.csv")
    data = TableData(str(tmp_path / "my.csv"), "label", drop=["id"])
    model = LitMLP.for_data(data, hidden=[8])
    assert (model.input_shape, model.cardinalities) == (data.input_shape, data.cardinalities)
    assert model.hparams["task"] == "binary"
    quiet_trainer(max_epochs=1).fit(model, data)
    assert LitMLP.for_data(data, modality="table", num_outputs=1, hidden=[8]).hparams == model.hparams


BATCHES = {
    "a tuple of int64 (24, 3), int64 (24,)": [torch.zeros(ROWS, 3, dtype=torch.long), TARGETS["multiclass"]],
    "a tuple of float32 (24, 4), float32 (24,)": [torch.zeros(ROWS, 4), torch.full((ROWS,), 0.5)],
    "a tuple of float32 (24, 4), int64 (24, 2)": [torch.zeros(ROWS, 4), TARGETS["multilabel"]],
    "a tuple of float32 (24, 4)": [torch.zeros(ROWS, 4)],
    "a tuple of float32 (24, 4), int64 (24,), int64 (24,)": [torch.zeros(ROWS, 4), *[TARGETS["multiclass"]] * 2],
    "a dictionary with x float32 (24, 4)": {"x": torch.zeros(ROWS, 4)},
    "float32 (24, 4)": torch.zeros(ROWS, 4),
    "str": "text",
}


@pytest.mark.parametrize(("described", "validates"), [*product(BATCHES, [True, False])])
def test_the_sentence_says_what_a_batch_has_to_be(described: str, validates: bool) -> None:
    model, trainer, batches = (
        LitLinear(**FACTS),
        quiet_trainer(max_epochs=1),
        DataLoader([BATCHES[described]], batch_size=None),
    )
    with pytest.raises(ConfigError) as refused:
        trainer.validate(model, batches) if validates else trainer.fit(model, batches)
    assert str(refused.value) == (
        "a batch is a tuple (x, y) or a dictionary with x (N, 4) and y (N,) class indices from 0 to 2, and this one is "
        f"{described}; return such batches from the data loader"
    )


def test_options_that_need_more_than_tuples_are_refused() -> None:
    x, y = torch.zeros(ROWS, 4), TARGETS["multiclass"]
    loader = DataLoader(TensorDataset(x, y), batch_size=5)
    trainer = quiet_trainer(max_epochs=1)
    with pytest.raises(ConfigError, match=r"and data loaders alone have no class_counts\(\); leave them out, or give"):
        trainer.fit(LitLinear(**FACTS, class_weights=True), loader)
    with pytest.raises(ConfigError, match=r"class_weights need .* and Plain has no class_counts\(\)"):
        trainer.fit(LitLinear(**FACTS, class_weights=True), datamodule=Plain(x, y))
    with pytest.raises(
        ConfigError, match=r"steps_per_execution 4 needs batches that are dictionaries, and .* yields list"
    ):
        trainer.fit(LitLinear(**FACTS, steps_per_execution=4), loader)
    table = LitLinear(task="multiclass", modality="table", input_shape=(4,), num_outputs=3, cardinalities=(3, 2))
    with pytest.raises(ConfigError, match=r"with x \(N, 4\), categories \(N, 2\) int64 and y"):
        trainer.fit(table, loader)


def test_rows_without_ids_are_not_evaluated_on_several_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    model, trainer = LitLinear(**FACTS), quiet_trainer()
    monkeypatch.setattr(type(trainer), "world_size", 2)
    with pytest.raises(ConfigError, match="batches without row ids cannot be evaluated on several devices"):
        trainer.validate(model, DataLoader(TensorDataset(torch.zeros(ROWS, 4), TARGETS["multiclass"])))


@pytest.mark.parametrize("form", ["--data tiny_package.OwnLoss", "-c plain.yaml"])
def test_the_command_says_what_its_data_derive_from(
    refused: Callable[..., str], root: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.chdir(root)
    Path("plain.yaml").write_text("data: {class_path: tiny_package.OwnLoss, init_args: {batch_size: 3}}")
    assert refused(*form.split(), "--model", "LitMLP") == (
        "error: --data tiny_package.OwnLoss: it is no DataModule, and --data takes a class that is derived from it, "
        "such as TableData; derive your own from InMemoryData, or train on it in Python with LitMLP.for_data"
    )


def test_batches_of_our_loaders_are_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their format is known, and a check of each would cost time."""
    data = small_data(torch.randn(60, 4), torch.arange(60) % 3)
    model = LitLinear.for_data(data)
    monkeypatch.setattr(type(model.batch_format), "read", None)
    trainer = quiet_trainer(max_epochs=1)
    trainer.fit(model, data)
    assert trainer.global_step > 0
    assert "val/loss" in trainer.callback_metrics
