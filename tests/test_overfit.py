"""Every architecture can learn a handful of rows by heart, whatever the task."""

from functools import partial
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from small import model_for, quiet_trainer, small_data
from torch import Tensor
from torch.optim import AdamW

from lit_models import LitCNN, LitLinear, LitMLP, LitModel, LitRNN, LitTransformer

ARCHITECTURES: list[tuple[type[LitModel], dict[str, Any]]] = [
    (LitLinear, {}),
    (LitMLP, {"hidden": [64], "dropout": 0.0}),
    (LitCNN, {"channels": [32, 32], "dropout": 0.0}),
    (LitRNN, {"hidden": 32, "dropout": 0.0}),
    (LitTransformer, {"width": 32, "num_layers": 1, "dropout": 0.0}),
]
MEASURES = {"binary": "accuracy", "multiclass": "accuracy", "multilabel": "accuracy_micro", "regression": "r2"}
ROWS = 24


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


@pytest.mark.parametrize(("architecture", "settings"), ARCHITECTURES, ids=lambda one: getattr(one, "__name__", ""))
@pytest.mark.parametrize("task", MEASURES)
def test_a_tiny_set_is_learned_by_heart(architecture: type[LitModel], settings: dict[str, Any], task: str) -> None:
    pl.seed_everything(0, verbose=False)
    x = torch.randn(2 * ROWS, 2, 6)
    data = small_data(x, targets(x, task), task, ratios=(0.5, 0.25, 0.25), stratify=False, batch_size=ROWS)
    model = model_for(data, architecture, **settings, optimizer=partial(AdamW, lr=0.02, weight_decay=0.0))
    trainer = quiet_trainer(max_epochs=150, limit_val_batches=0)
    trainer.fit(model, data)
    (learned,) = quiet_trainer().validate(model, data.train_dataloader(), verbose=False)
    assert learned[f"val/{MEASURES[task]}"] >= 0.99
