"""TabM: members with shared layers, trained on the mean of their losses, answering with their mean prediction."""

from pathlib import Path

import pytest
import torch
from conftest import Fit
from people_table import people
from tiny_data import writer
from torch import Tensor
from torch.nn import functional

from lit_models import LitTabM

FACTS = {"modality": "table", "input_shape": (5,), "members": 3, "hidden": [8, 4], "dropout": 0.0}
OUTPUTS = {"binary": 1, "multiclass": 4, "multilabel": 2, "regression": 3}


def model_of(task: str) -> LitTabM:
    torch.manual_seed(0)
    return LitTabM(task=task, num_outputs=OUTPUTS[task], **FACTS)


def by_hand(model: LitTabM, x: Tensor) -> Tensor:
    """The outputs of each member (N, members, outputs), computed one by one."""
    body, members = model.network.body, []
    for scale, weight, bias in zip(body.scale, body.weight, body.bias, strict=True):
        hidden = x * scale
        for layer in body.layers:
            if isinstance(layer, torch.nn.Linear):
                hidden = (hidden @ layer.weight.T + layer.bias).relu()
        members.append(hidden @ weight + bias)
    return torch.stack(members, dim=1)


@pytest.mark.parametrize("task", OUTPUTS)
def test_the_answer_is_the_mean_of_the_members_predictions(task: str) -> None:
    model, x = model_of(task), torch.randn(6, 5) * 5
    members = by_hand(model, x)
    assert torch.allclose(model.train()(x), members, atol=1e-5)
    found = model.task.predict(model.eval()(x))
    expected = torch.stack([model.task.predict(one) for one in members.unbind(1)]).mean(dim=0)
    assert torch.allclose(found, expected, atol=1e-6)
    assert not torch.equal(members[:, 0], members[:, 1])


@pytest.mark.parametrize("scale", [1e3, 1e-3])
@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_the_mean_of_sure_members_is_finite(task: str, scale: float) -> None:
    outputs = torch.tensor([1.0, -1, 1, -1]).view(1, 2, 2) * scale if task != "binary" else torch.full((1, 2, 1), scale)
    assert model_of(task).task.combine(outputs).isfinite().all()


@pytest.mark.parametrize("task", OUTPUTS)
def test_the_loss_is_the_mean_of_the_members_losses(task: str) -> None:
    model, x = model_of(task).train(), torch.randn(6, 5)
    y = {"binary": torch.arange(6) % 2, "multiclass": torch.arange(6) % 4, "multilabel": torch.randint(2, (6, 2))}
    target = y.get(task, torch.randn(6, 3).double())
    found = model._loss(model(x), {"y": target})
    measure = {
        "binary": functional.binary_cross_entropy_with_logits,
        "multiclass": functional.cross_entropy,
        "multilabel": functional.binary_cross_entropy_with_logits,
        "regression": functional.mse_loss,
    }[task]
    as_loss = {"binary": lambda one: one.view(-1, 1).float(), "multiclass": lambda one: one}
    goal = as_loss.get(task, lambda one: one.float())(target)
    expected = torch.stack([measure(one, goal) for one in by_hand(model, x).unbind(1)]).mean()
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("more", ["--model.class_weights true", "--model.mixup 0.2", "--model.loss FocalLoss"])
def test_options_of_every_model_work(fit: Fit, tmp_path: Path, more: str) -> None:
    path = writer(tmp_path, "my.csv")(people(200).select("age", "income", "label"))
    words = f"--data TableData --data.path {path} --data.target label --model LitTabM --model.members 4 {more}"
    record = fit(*words.split(), "--trainer.max_epochs", "8", "--model.optimizer.lr", "0.01")
    assert record["metrics"]["test/accuracy"] > 0.6
