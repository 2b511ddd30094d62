"""Every architecture can learn a handful of rows by heart, whatever the task, and padded rows too."""

from collections.abc import Callable
from functools import partial
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from tiny_data import model_for, quiet_trainer, small_data
from torch import Tensor
from torch.optim import AdamW

from datamodules.loading.tensor_loader import TensorLoader
from lit_models import LitCNN, LitLinear, LitMLP, LitModel, LitRNN, LitTabM, LitTransformer

ARCHITECTURES: list[tuple[type[LitModel], dict[str, Any]]] = [
    (LitLinear, {}),
    (LitMLP, {"hidden": [64], "dropout": 0.0}),
    (LitTabM, {"members": 4, "hidden": [64], "dropout": 0.0}),
    (LitCNN, {"channels": [32, 32], "dropout": 0.0}),
    (LitRNN, {"hidden": 32, "dropout": 0.0}),
    (LitTransformer, {"width": 32, "num_layers": 1, "dropout": 0.0, "optimizer": partial(AdamW, lr=0.01)}),
]
MEASURES = {"binary": "accuracy", "multiclass": "accuracy", "multilabel": "accuracy_micro", "regression": "r2"}
ROWS, EPOCHS = 24, 80


def targets(x: Tensor, task: str) -> Tensor:
    """Targets that a linear map of a row explains, so that linear regression can learn them too."""
    scores = x.flatten(1) @ torch.randn(12, 3)
    match task:
        case "binary":
            return (scores[:, 0] > scores[:, 0].median()).long()
        case "multiclass":
            return scores.argmax(dim=1)
        case "multilabel":
            return (scores > 0).long()
        case _:
            return 1000 + 5 * scores.double()


every = pytest.mark.parametrize(
    ("architecture", "settings"), ARCHITECTURES, ids=lambda one: getattr(one, "__name__", "")
)


def some_tasks() -> list[Any]:
    """Returns every architecture with every task; in the quick suite two of them, and all of the linear one."""
    return [
        pytest.param(architecture, settings, task, marks=() if is_quick else pytest.mark.slow)
        for number, (architecture, settings) in enumerate(ARCHITECTURES)
        for place, task in enumerate(MEASURES)
        for is_quick in [number == 0 or (number + place) % 2 == 0]
    ]


@pytest.mark.parametrize(
    ("architecture", "settings", "task"), some_tasks(), ids=lambda one: getattr(one, "__name__", None)
)
def test_a_tiny_set_is_learned_by_heart(architecture: type[LitModel], settings: dict[str, Any], task: str) -> None:
    pl.seed_everything(0, verbose=False)
    x = torch.randn(2 * ROWS, 2, 6)
    data = small_data(x, targets(x, task), task, ratios=(0.5, 0.25, 0.25), stratify=False, batch_size=ROWS)
    model = model_for(data, architecture, **{"optimizer": partial(AdamW, lr=0.05, weight_decay=0.0)} | settings)
    trainer = quiet_trainer(max_epochs=EPOCHS, limit_val_batches=0)
    trainer.fit(model, data)
    (learned,) = quiet_trainer().validate(model, data.train_dataloader(), verbose=False)
    assert learned[f"val/{MEASURES[task]}"] >= 0.99


def padded_series() -> dict[str, Any]:
    """Classes that a linear map of the steps that count explains, and NaN behind them."""
    lengths = torch.randint(1, 7, (ROWS,))
    x = torch.randn(ROWS, 2, 6)
    padding = (torch.arange(6) >= lengths.unsqueeze(1)).unsqueeze(1)
    y = targets(x.masked_fill(padding, 0.0), "multiclass")
    facts = {"modality": "series", "input_shape": (2, 6)}
    return {"facts": facts, "x": x.masked_fill(padding, torch.nan), "y": y, "lengths": lengths}


def texts() -> dict[str, Any]:
    """Classes that the tokens vote for."""
    lengths = torch.randint(1, 7, (ROWS,))
    padding = torch.arange(6) >= lengths.unsqueeze(1)
    ids = torch.randint(2, 20, (ROWS, 6)).masked_fill(padding, 0)
    votes = torch.randn(20, 3)[ids].masked_fill(padding.unsqueeze(2), 0.0)
    facts = {"modality": "text", "input_shape": (6,), "vocab_size": 20}
    return {"facts": facts, "x": ids, "y": votes.sum(dim=1).argmax(dim=1), "lengths": lengths}


@every
@pytest.mark.parametrize("make", [padded_series, texts])
def test_tiny_padded_rows_are_learned_by_heart(
    architecture: type[LitModel], settings: dict[str, Any], make: Callable[[], dict[str, Any]]
) -> None:
    pl.seed_everything(0, verbose=False)
    made = make()
    facts = made.pop("facts")
    batches = TensorLoader(made | {"row": torch.arange(ROWS)}, ROWS)
    facts["optimizer"] = partial(AdamW, lr=0.05, weight_decay=0.0)
    model = architecture(task="multiclass", num_outputs=3, **facts | settings)
    quiet_trainer(max_epochs=EPOCHS, limit_val_batches=0).fit(model, batches, batches)
    (learned,) = quiet_trainer().validate(model, batches, verbose=False)
    assert learned["val/accuracy"] >= 0.99
