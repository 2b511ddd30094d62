"""Any LightningModule as an architecture: it trains itself, and its outputs are evaluated like those of a network."""

import inspect
from collections.abc import Mapping, Sequence
from contextvars import Context
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor
from typing_extensions import override

from lit_models.any_network.adapter import Adapter
from lit_models.any_network.delegated_hooks import NOT_CALLED, acting, hand_on_hooks
from lit_models.any_network.fact_arguments import Facts, facts_of_row
from lit_models.any_network.network_factory import NetworkFactory, make
from lit_models.any_network.network_output import described
from lit_models.any_network.trial import ROWS, example_rows, try_logits
from lit_models.base import LitModel
from lit_models.errors import ConfigError
from lit_models.networks.norms import explain_one_row
from lit_models.stems.stem import Modality, to_rows
from lit_models.tasks import TaskName
from lit_models.training.batch import Batch
from lit_models.training.safe_hparams import is_plain

OPTION = "--model"
NEEDED = ("forward", "training_step", "configure_optimizers")
OF_CLASSES = ("num_classes", "n_classes", "num_labels")
"""Names of arguments that are the number of classes, which is 2 where a task of two classes has one output."""


class LitLightningModule(LitModel):
    """Trains a LightningModule of another package by its own steps, losses, optimizers and hooks.

    It gets batches ``(x, y)``. Its ``forward(x)`` returns logits, by which it is evaluated, compared and exported.

    Args:
        network: Import path of the class, with its arguments below it.
        task: See ``LitModel``, as for all below.
        modality: Kind of row.
        input_shape: Shape of one row.
        num_outputs: Outputs that the task needs.
        cardinalities: Number of categories of each categorical column, which is one-hot here.
        vocab_size: Number of token ids of a text.
    """

    network: Adapter

    def __init__(
        self,
        network: NetworkFactory,
        task: TaskName,
        modality: Modality,
        input_shape: Sequence[int],
        num_outputs: int,
        cardinalities: Sequence[int] = (),
        vocab_size: int = 0,
    ) -> None:
        one_hot = max(cardinalities, default=0)
        facts = (task, modality, input_shape, num_outputs, cardinalities, vocab_size)
        super().__init__(*facts, one_hot=one_hot, steps_per_execution=1)
        own = inspect.signature(LitLightningModule).parameters
        self.remove_ignored_hparams([name for name in self.hparams if name not in own])
        if not isinstance(network, NetworkFactory):
            raise ConfigError(
                f"network is {str(network)[:60]!r}; give --model PATH, or in Python NetworkFactory.of(class)"
            )
        stem = to_rows(*self.row_facts)
        stem.module.requires_grad_(False)  # the vector of a missing category, which no optimizer gets
        facts_by_name = _facts(stem.shape, self.num_outputs, self.vocab_size, task)
        # LightningCLI has a context variable of hyperparameters, which its own save_hyperparameters would take for its.
        made, network, filled = Context().run(make, network, facts_by_name, OPTION)
        self.path = network.path
        inner = _checked(made, self.path)
        if is_plain(network.plain()):  # else a checkpoint could not be loaded without running code
            self.hparams["network"] = network.plain()
        inner.configure_model()
        self.network = Adapter(stem, inner, self.vocab_size > 0 or len(self.input_shape) == 2)
        self.is_flat, self.is_pair = self._try()
        self.automatic_optimization = inner.automatic_optimization
        self.notes = [f"arguments of {self.path} from the data: {', '.join(filled)}"] if filled else []
        if unused := [name for name in NOT_CALLED if is_overridden(name, inner)]:
            self.notes.append(f"not called, since --data and Evenhand have their own: {self.path}.{', '.join(unused)}")
        hand_on_hooks(self, inner, self._batch_of)

    @property
    def inner(self) -> LightningModule:
        """The LightningModule."""
        inner = self.network.body
        assert isinstance(inner, LightningModule)
        return inner

    @override
    def direction(self, name: str, others: bool = False) -> Literal["min", "max"]:
        return super().direction(name, others=True)  # the module may log any value

    @override
    def forward(self, x: Tensor, categories: Tensor | None = None, lengths: Tensor | None = None) -> Tensor:
        outputs = super().forward(x, categories, lengths)
        # The softmax of two logits is the sigmoid of their difference.
        return outputs[:, 1:] - outputs[:, :1] if self.is_pair else outputs

    @override
    def setup(self, stage: str) -> None:
        super().setup(stage)
        self.inner.trainer = self.trainer
        if is_overridden("setup", self.inner):
            with acting(self.inner, "setup"):
                self.inner.setup(stage)

    @override
    def configure_callbacks(self) -> list[Callback]:
        self.inner.trainer = self.trainer
        return super().configure_callbacks()

    @override
    def configure_optimizers(self) -> Any:
        try:
            configured = self.inner.configure_optimizers()
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{self.path}.configure_optimizers fails: {error}; correct it") from error
        if not configured:
            raise ConfigError(f"{self.path}.configure_optimizers returns no optimizer; return one")
        return configured

    @override
    def training_step(self, batch: Any, batch_idx: int) -> Any:
        batch = self._read(batch)
        try:
            returned = self._step("training_step", batch, batch_idx)
        except ValueError as error:
            explain_one_row(error)
            raise
        loss = returned.get("loss") if isinstance(returned, Mapping) else returned
        if not isinstance(loss, Tensor):  # a step of manual optimization may return nothing
            return returned
        self.epoch_monitor.add(loss.detach(), len(batch["y"]))
        if "share" not in batch:
            return returned
        shared = loss * batch["share"]
        return {**returned, "loss": shared} if isinstance(returned, Mapping) else shared

    @override
    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        return self._evaluation_step("validation_step", batch, batch_idx)

    @override
    def test_step(self, batch: Any, batch_idx: int) -> Any:
        return self._evaluation_step("test_step", batch, batch_idx)

    @override
    def on_validation_epoch_end(self) -> None:
        self._epoch_end("on_validation_epoch_end")

    @override
    def on_test_epoch_end(self) -> None:
        self._epoch_end("on_test_epoch_end")

    def _epoch_end(self, hook: str) -> None:
        with acting(self.inner, hook):
            getattr(self.inner, hook)()
        super().on_validation_epoch_end()  # behind the module's own, so that of two values of a name ours stays

    def _evaluation_step(self, name: str, batch: Any, batch_idx: int) -> Any:
        batch = self._read(batch)
        super().validation_step(batch, batch_idx)
        if not len(batch["y"]) or not is_overridden(name, self.inner):
            return None
        return self._step(name, batch, batch_idx)

    def _step(self, name: str, batch: Batch, batch_idx: int) -> Any:
        step = getattr(self.inner, name)
        with acting(self.inner, name):
            given = self.inner.on_after_batch_transfer(self._batch_of(batch), 0)
            return step(given, batch_idx) if len(inspect.signature(step).parameters) > 1 else step(given)

    def _batch_of(self, batch: Any) -> tuple[Tensor, ...]:
        """Returns ``(x, y)``, and behind it the masks or lengths of padded rows that ``forward`` takes.

        ``y`` has the shape and the type that a loss of torch takes together with what ``forward`` returns.
        """
        batch = self._read(batch)
        x, named, _ = self.network.given(batch["x"], batch.get("categories"), batch.get("lengths"))
        if self.task.name == "multiclass" or self.is_pair:
            return (x, batch["y"].long(), *named.values())
        dtype = x.dtype if x.is_floating_point() else next(self.parameters()).dtype
        target = self.task.loss_target(batch["y"], dtype)
        return (x, target.squeeze(1) if self.is_flat else target, *named.values())

    def _try(self) -> tuple[bool, bool]:
        """Tries the module on two rows; returns whether it returns (N,), and whether (N, 2) for two classes.

        Raises ``ConfigError`` for outputs that are no logits of the task.
        """
        example = example_rows(self.input_shape, len(self.cardinalities), self.vocab_size)
        outputs, got = try_logits(self.network, example, self.path, OPTION)
        shape, wanted = tuple(outputs.shape), (ROWS, self.num_outputs)
        is_flat = shape == (ROWS,) and self.num_outputs == 1
        is_pair = shape == (ROWS, 2) and self.task.name == "binary"
        if not (is_flat or is_pair or shape == wanted):
            raise ConfigError(
                f"{self.path}.forward returns {shape} for a batch of {got}, and the task needs {wanted}; set its "
                "number of outputs below --model"
            )
        if self.task.name in ("binary", "multiclass") and shape[1:] > (1,) and _sum_to_one(outputs):
            raise ConfigError(
                f"{self.path}.forward returns probabilities, which sum to 1; return logits without a softmax, or the "
                "logarithms"
            )
        return is_flat, is_pair


def _facts(shape: Sequence[int], num_outputs: int, vocab_size: int, task: TaskName) -> Facts:
    """Returns the facts of a row by the usual names of arguments, the number of classes among them."""
    facts = facts_of_row(shape, num_outputs, vocab_size, has_head=False)
    if task == "binary":
        facts["outputs"] = {name: 2 if name in OF_CLASSES else 1 for name in facts["outputs"]}
    return facts


def _checked(made: Any, path: str) -> LightningModule:
    """Returns a LightningModule that has what is needed; raises ``ConfigError`` for another object."""
    if not isinstance(made, LightningModule) or isinstance(made, LitModel):
        raise ConfigError(
            f"{path} is {described(made)} and no LightningModule of its own; write --model LitModule --model.network "
            f"{path} for a network, --model {path} for a LitModel"
        )
    if missing := [name for name in NEEDED if not is_overridden(name, made)]:
        raise ConfigError(
            f"{path} has no {' and no '.join(missing)}; a LightningModule needs forward(x), which returns logits, "
            "training_step and configure_optimizers"
        )
    return made


def _sum_to_one(outputs: Tensor) -> bool:
    outputs = outputs.double()
    return bool((outputs >= 0).all()) and bool(torch.isclose(outputs.sum(dim=1), outputs.new_ones(1), atol=1e-3).all())
