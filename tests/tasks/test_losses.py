"""A loss is what its name says and fits the task, or the model refuses it in one sentence."""

from math import log

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_pinball_loss
from tiny_data import QUICK
from torch import Tensor, nn

from lit_models import ConfigError, FocalLoss, LitLinear, QuantileLoss, SoftTargetCrossEntropy
from lit_models.tasks import TASKS, Task

FITTING: dict[str, set[type[nn.Module]]] = {
    "binary": {nn.BCEWithLogitsLoss, FocalLoss},
    "multiclass": {nn.CrossEntropyLoss, nn.MultiMarginLoss, FocalLoss, SoftTargetCrossEntropy},
    "multilabel": {nn.BCEWithLogitsLoss, nn.MultiLabelSoftMarginLoss, FocalLoss},
    "regression": {nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, QuantileLoss},
}
LOSSES = set.union(
    *FITTING.values(),
    {nn.BCELoss, nn.NLLLoss, nn.KLDivLoss, nn.PoissonNLLLoss, nn.GaussianNLLLoss, nn.HingeEmbeddingLoss},
    {nn.SoftMarginLoss, nn.MultiLabelMarginLoss, nn.CosineEmbeddingLoss, nn.TripletMarginLoss, nn.CTCLoss},
)
PAIRS = [(task, loss) for task in FITTING for loss in sorted(LOSSES, key=lambda loss: loss.__name__)]


def task_named(name: str) -> Task:
    return TASKS[name](1 if name == "binary" else 3)


logits = st.lists(st.floats(-8, 8, width=32), min_size=6, max_size=6).map(lambda flat: torch.tensor(flat).view(2, 3))


def test_focal_loss_by_hand() -> None:
    # Rows predicted with 0.9 and 0.4 where 1 is right, and 0.2 where it is wrong.
    outputs = torch.logit(torch.tensor([[0.9], [0.4], [0.2]]))
    target = torch.tensor([[1.0], [1.0], [0.0]])
    by_hand = [0.1**2 * -log(0.9), 0.6**2 * -log(0.4), 0.2**2 * -log(0.8)]
    assert FocalLoss(gamma=2)(outputs, target).item() == pytest.approx(sum(by_hand) / 3, rel=1e-5)
    weighed = 0.25 * by_hand[0] + 0.25 * by_hand[1] + 0.75 * by_hand[2]
    assert FocalLoss(gamma=2, alpha=0.25)(outputs, target).item() == pytest.approx(weighed / 3, rel=1e-5)


def test_focal_loss_over_classes_by_hand() -> None:
    outputs = torch.log(torch.tensor([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2]]))
    by_hand = 0.3**1.5 * -log(0.7) + 0.8**1.5 * -log(0.2)
    assert FocalLoss(gamma=1.5)(outputs, torch.tensor([0, 2])).item() == pytest.approx(by_hand / 2, rel=1e-5)


@QUICK
@given(logits, st.lists(st.integers(0, 1), min_size=6, max_size=6))
def test_focal_loss_without_gamma_is_cross_entropy(outputs: Tensor, bits: list[int]) -> None:
    labels, classes = torch.tensor(bits).view(2, 3).float(), torch.tensor(bits[:2])
    torch.testing.assert_close(FocalLoss(gamma=0)(outputs, labels), nn.BCEWithLogitsLoss()(outputs, labels))
    torch.testing.assert_close(FocalLoss(gamma=0)(outputs, classes), nn.CrossEntropyLoss()(outputs, classes))


@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2])
@pytest.mark.parametrize("target", [torch.tensor([0]), torch.tensor([[1.0, 0.0]])])
def test_focal_loss_has_a_gradient_where_a_row_is_predicted_perfectly(gamma: float, target: Tensor) -> None:
    outputs = torch.tensor([[200.0, -200.0]], requires_grad=True)
    FocalLoss(gamma)(outputs, target).backward()
    assert outputs.grad is not None
    assert outputs.grad.isfinite().all()


@QUICK
@given(logits, logits, st.sampled_from([0.5, 1.0, 3.0]))
def test_soft_targets_are_torchs_cross_entropy_of_probabilities(outputs: Tensor, other: Tensor, heat: float) -> None:
    target = other.softmax(dim=1)
    expected = heat**2 * nn.CrossEntropyLoss()(outputs / heat, target)
    torch.testing.assert_close(SoftTargetCrossEntropy(heat)(outputs, target), expected)
    classes = other.argmax(dim=1)
    expected = heat**2 * nn.CrossEntropyLoss()(outputs / heat, classes)
    torch.testing.assert_close(SoftTargetCrossEntropy(heat)(outputs, classes), expected)


@QUICK
@given(logits, logits, st.floats(0.01, 0.99))
def test_quantile_loss_is_scikit_learns_pinball_loss(outputs: Tensor, target: Tensor, quantile: float) -> None:
    expected = mean_pinball_loss(target.double(), outputs.double(), alpha=quantile)
    assert QuantileLoss(quantile)(outputs.double(), target.double()).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda: FocalLoss(gamma=-1),
        lambda: FocalLoss(alpha=1.5),
        lambda: SoftTargetCrossEntropy(temperature=0),
        lambda: QuantileLoss(0),
        lambda: QuantileLoss(1),
        lambda: FocalLoss(alpha=0.5)(torch.zeros(2, 3), torch.tensor([0, 1])),
    ],
)
def test_settings_that_mean_nothing_are_refused(make: object) -> None:
    with pytest.raises(
        ValueError, match=r"gamma must|alpha must|quantile must|temperature must|leave it out for classes"
    ):
        make()


@pytest.mark.parametrize(("task", "loss"), [pair for pair in PAIRS if pair[1] in FITTING[pair[0]]])
def test_a_fitting_loss_is_taken(task: str, loss: type[nn.Module]) -> None:
    task_named(task).check_loss(loss())


@pytest.mark.parametrize(("task", "loss"), [pair for pair in PAIRS if pair[1] not in FITTING[pair[0]]])
def test_another_tasks_loss_is_refused_and_the_fitting_ones_are_named(task: str, loss: type[nn.Module]) -> None:
    with pytest.raises(ConfigError, match=f"{loss.__name__} does not fit the task {task}") as refusal:
        task_named(task).check_loss(loss())
    named = str(refusal.value).partition("these do: ")[2].split(", ")
    assert set(named) == {fitting.__name__ for fitting in FITTING[task]}


@pytest.mark.parametrize(
    ("task", "loss"),
    [
        ("multiclass", nn.CrossEntropyLoss(label_smoothing=0.1, weight=torch.tensor([1.0, 2.0, 3.0]))),
        ("binary", nn.BCEWithLogitsLoss(pos_weight=torch.tensor(3.0))),
        ("binary", FocalLoss(alpha=0.25)),
        ("regression", nn.HuberLoss(delta=0.5)),
        ("regression", QuantileLoss(0.9)),
    ],
)
def test_a_fitting_loss_keeps_its_settings(task: str, loss: nn.Module) -> None:
    model = LitLinear(
        task=task, modality="table", input_shape=(2,), num_outputs=task_named(task).num_outputs, loss=loss
    )
    assert model.loss is loss


@pytest.mark.parametrize(
    ("task", "loss"),
    [
        ("multiclass", nn.CrossEntropyLoss(weight=torch.ones(2))),
        ("multiclass", nn.CrossEntropyLoss(reduction="none")),
        ("multiclass", FocalLoss(alpha=0.5)),
        ("multilabel", nn.BCEWithLogitsLoss(pos_weight=torch.ones(2))),
    ],
)
def test_settings_that_do_not_fit_are_refused(task: str, loss: nn.Module) -> None:
    with pytest.raises(ConfigError, match=type(loss).__name__):
        task_named(task).check_loss(loss)


class OwnLoss(nn.Module):
    """A user's, that gives whatever it is told to make of a sound value."""

    def __init__(self, give: object) -> None:
        super().__init__()
        self.give = give

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        return self.give((outputs - outputs.mean()).square().mean())


def stumble(value: Tensor) -> Tensor:
    raise IndexError("my own mistake")


@pytest.mark.parametrize("task", FITTING)
def test_a_users_own_loss_is_taken(task: str) -> None:
    task_named(task).check_loss(OwnLoss(lambda value: value))


@pytest.mark.parametrize(
    ("give", "why"),
    [
        (stumble, "my own mistake"),
        (lambda value: value.expand(3), "one finite number with a gradient"),
        (lambda value: value.detach(), "one finite number with a gradient"),
        (lambda value: value * torch.nan, "one finite number with a gradient"),
        (lambda value: value.item(), "one finite number with a gradient"),
    ],
)
@pytest.mark.parametrize("task", FITTING)
def test_a_users_own_loss_that_cannot_train_is_refused(task: str, give: object, why: str) -> None:
    with pytest.raises(ConfigError, match=f"OwnLoss.*{why}"):
        LitLinear(
            task=task,
            modality="table",
            input_shape=(2,),
            num_outputs=task_named(task).num_outputs,
            loss=OwnLoss(give),
        )
