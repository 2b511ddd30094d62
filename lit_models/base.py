"""The LightningModule that every architecture extends: one step for training, validation and test."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, Self

from lightning.pytorch import Callback, LightningDataModule
from lightning.pytorch.plugins import DoublePrecision
from torch import Tensor, nn
from torch.optim import AdamW
from torchmetrics import Metric
from typing_extensions import override

from lit_models.cpu.hook_name import quick_hook_name
from lit_models.data_facts import facts_of
from lit_models.errors import ConfigError, NoDirectionError
from lit_models.internals.torch_parts import CompiledNetwork
from lit_models.metrics.evaluation import Evaluation, Outputs, check_metrics, direction, evaluate, gather_outputs
from lit_models.networks.norms import explain_one_row
from lit_models.schedules.schedule import Schedule, copyable
from lit_models.stems.numbers import NumbersName, prepare_numbers
from lit_models.stems.stem import Modality
from lit_models.stems.table import NUMBERS_SIZE, Embeddings
from lit_models.tasks import TaskName, make_task
from lit_models.training.batch import Batch, BatchFormat, row_ids
from lit_models.training.class_weights import ClassWeights
from lit_models.training.epoch_monitor import EpochMonitor
from lit_models.training.fine_tuning import FineTunedModule
from lit_models.training.loss_precision import at_least_float32, keep_precision, loss_of
from lit_models.training.mixup import Mixup
from lit_models.training.multi_step import MultiStep
from lit_models.training.optimizer import OptimizerFactory, ScaleRate, dims, total_steps, trainer_optimizer
from lit_models.training.parameter_groups import check_rates
from lit_models.training.safe_hparams import save_plain_hyperparameters
from lit_models.training.schedule_free import ScheduleFreeModes, check_schedule_free, is_schedule_free


@quick_hook_name
class LitModel(FineTunedModule):
    """Trains and evaluates ``self.network``, which a subclass builds in its constructor.

    The first six arguments describe the data; the command line fills them in from the data module.

    Args:
        task: Kind of target: binary, multiclass, multilabel or regression.
        modality: Kind of row: table, series, image or text.
        input_shape: Shape of one row: (F,) of a table, (C, T) of a series, (C, H, W) of an image, (T,) of a text; T is
            the longest row's.
        num_outputs: Classes of multiclass, labels of multilabel, targets of regression, 1 for binary.
        cardinalities: Number of categories of each categorical column of a table; ``input_shape`` counts the others.
        vocab_size: Number of token ids of a text, including padding (0) and unknown tokens (1).
        numbers: Embedding of a table's numbers: none (linear), periodic (plr), or piecewise linear (ple) between
            quantiles of the train rows. They let a network see narrow ranges of a number, as trees do.
        numbers_size: Numbers that stand for each one in a vector; the columns that a transformer, a CNN or an RNN
            takes as tokens have the width of a token.
        numbers_sigma: Standard deviation of the first frequencies of plr: .1 to 10, larger for finer structure.
        one_hot: Most values of a column of categories that is one-hot in a vector; columns with more are embedded.
        loss: Any loss of ``torch.nn`` or ``lit_models.losses`` that fits the task, or one of your own.
        class_weights: Let all classes count equally in the loss, by their number of train rows; logged losses too.
        mixup: Train on mixtures of two rows, with lambda drawn from Beta(mixup, mixup): 0.2 mixes little, 1 much, 0 not
            at all. The logged training loss is then that of the mixtures.
        optimizer: Any ``torch.optim`` optimizer with its arguments.
        schedule: A learning-rate schedule; a constant rate if it is left out.
        metrics: Metrics to compute in addition to the task's, by name; they get the same inputs.
        scale_lr: Multiply the learning rate by the number of devices (linear) or its root (sqrt), for when
            ``data.batch_size``, that of all devices together, is multiplied by it too.
        compile: Compile the network with ``torch.compile``: seconds at first, faster steps after, if it pays.
        steps_per_execution: Optimizer steps between two calls of Lightning and its callbacks. The result is that of 1,
            bit for bit; small networks train up to twice as fast, and saves every so many steps end such a block. auto
            takes as many as a CPU runs in 0.1 to 0.3 seconds, and 1 if a callback or the model observes single steps.
        fine_tuning: Options of ``FineTunedModule``: weights to start from; of ``DecidedModule``: calibration.
    """

    network: nn.Module
    compiled: CompiledNetwork | None = None
    evaluation: Evaluation | None = None
    notes: Sequence[str] = ()  # about the network, which a run prints at its start

    def __init__(
        self,
        task: TaskName,
        modality: Modality,
        input_shape: Sequence[int],
        num_outputs: int,
        cardinalities: Sequence[int] = (),
        vocab_size: int = 0,
        numbers: NumbersName = "linear",
        numbers_size: int = NUMBERS_SIZE,
        numbers_sigma: float = 1.0,
        one_hot: int = 0,
        loss: nn.Module | None = None,
        class_weights: bool = False,
        mixup: float = 0.0,
        optimizer: OptimizerFactory = AdamW,
        schedule: Schedule | None = None,
        metrics: dict[str, Metric] | None = None,
        scale_lr: ScaleRate = "none",
        compile: bool = False,
        steps_per_execution: int | Literal["auto"] = "auto",
        **fine_tuning: Any,
    ) -> None:
        super().__init__(**fine_tuning)
        save_plain_hyperparameters(self)
        self._axes: dict[str, int] = {}
        self.modality, self.input_shape, self.num_outputs = modality, tuple(input_shape), int(num_outputs)
        self.cardinalities, self.vocab_size = tuple(cardinalities), int(vocab_size)
        embeddings = Embeddings(numbers, numbers_size, numbers_sigma, one_hot)
        self.row_facts = (self.modality, self.input_shape, self.cardinalities, self.vocab_size, embeddings)
        self.task = make_task(task, self.num_outputs)
        self.loss = keep_precision(self.task.check_loss(loss or self.task.losses[0]()))
        self.class_weights = ClassWeights(self.loss, self.num_outputs) if class_weights else None
        self.mixup = Mixup(mixup, self.cardinalities, self.vocab_size) if mixup else None
        self.optimizer_factory, self.schedule, self.scale_lr = copyable(optimizer), schedule, scale_lr
        self.compiles = compile
        self.batch_format = BatchFormat(
            task, self.input_shape, self.num_outputs, len(self.cardinalities), self.vocab_size > 0
        )
        # In a plain dict: their state belongs in no checkpoint, since they are reset before every use.
        self.metrics = {**self.decisions.metrics(self.task), **check_metrics(metrics or {}, self.task)}
        self.epoch_monitor, self.averaging = EpochMonitor(), ScheduleFreeModes()
        self.multi_step = MultiStep(steps_per_execution, base=LitModel)
        self._evaluated: list[Outputs] = []

    @classmethod
    def for_data(cls, data: LightningDataModule, **options: Any) -> Self:
        """Builds a model for the rows of a data module, with ``options`` as further arguments.

        Raises ``ConfigError`` for a data module without the attributes that describe its rows.
        """
        return cls(**facts_of(data, options, cls.__name__))

    def direction(self, name: str, others: bool = False) -> Literal["min", "max"]:
        """Returns whether a logged metric is best at its minimum or maximum; callbacks may log ``others`` too."""
        return direction(name, self.metrics, others)

    def schedule_direction(self, others: bool = True) -> Literal["min", "max"]:
        """Returns the direction of the schedule's monitored value; ``mode`` of its scheduler if the value has none."""
        assert self.schedule is not None
        try:
            return self.direction(self.schedule.monitor, others) if self.schedule.monitor else "min"
        except NoDirectionError:
            if self.schedule.mode is None:
                raise
            return self.schedule.mode

    def forward(self, x: Tensor, categories: Tensor | None = None, lengths: Tensor | None = None) -> Tensor:
        """Computes the network's outputs (N, num_outputs) of inputs (N, *input_shape).

        A table may have ``categories`` (N, C) below ``cardinalities``, padded series and texts their ``lengths`` (N,).
        """
        optional = {"categories": categories, "lengths": lengths}
        outputs: Tensor = self.network(x, **{name: value for name, value in optional.items() if value is not None})
        return outputs

    @override
    def setup(self, stage: str) -> None:
        data = getattr(self.trainer, "datamodule", None)
        if (statistics := getattr(data, "target_statistics", None)) is not None:
            self.task.set_target_statistics(statistics.center, statistics.scale)
        self.prepare_decisions(stage)
        if self.class_weights is not None and stage == "fit":
            self.class_weights.fit(data)
        if stage == "fit":
            prepare_numbers(self.network, self.row_facts[-1].numbers, data)
            self.fine_tuning.prepare(self.trainer, self)
        self._axes = dims(self)
        if stage == "fit" and self.epoch_monitor not in self.trainer.callbacks:  # type: ignore[attr-defined]
            name = f"{type(self).__name__}.configure_callbacks"
            raise ConfigError(f"{name} leaves out the model's own; return [*super().configure_callbacks(), ...]")
        if self.compiles and self.compiled is None:
            self.compiled = CompiledNetwork(self.network)
        if isinstance(self.trainer.precision_plugin, DoublePrecision):
            self.double()  # Lightning does so after loading a checkpoint, and has rounded its weights by then

    @override
    def configure_callbacks(self) -> list[Callback]:
        tuning: list[Callback] = [self.fine_tuning] if self.fine_tuning.pattern else []
        tuning += [self.averaging] if is_schedule_free(self.optimizer_factory) else []
        wanted = [self.epoch_monitor, *tuning, *([] if self.multi_step.steps == 1 else [self.multi_step])]
        attached = self.trainer.callbacks if self.trainer.state.fn == "fit" else wanted  # type: ignore[attr-defined]
        return [callback for callback in wanted if callback not in attached]

    @override
    def configure_optimizers(self) -> Any:
        try:
            trainer = self.trainer
            optimizer = trainer_optimizer(trainer, self, self.optimizer_factory, self.scale_lr, self._axes)
            self.multi_step.check(trainer, self, optimizer)
            if is_schedule_free(self.optimizer_factory):
                check_schedule_free(trainer, optimizer, self.schedule is not None)
            if self.schedule is None:
                return optimizer
            epochs = -1 if trainer.max_epochs is None else trainer.max_epochs
            length, every = partial(total_steps, trainer), trainer.check_val_every_n_epoch or 1
            rates = [group["lr"] for group in optimizer.param_groups]
            configs = self.schedule.build(optimizer, length, epochs, self.schedule_direction(), every)
            check_rates(optimizer, rates)
            return [optimizer], configs
        except (TypeError, ValueError) as error:
            raise ConfigError(f"the optimizer or its schedule cannot be made: {error}") from error

    @override
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        batch, mix = self._read(batch), self.mixup
        try:
            loss = mix.loss(batch, self._outputs, self._loss) if mix else self._loss(self._outputs(batch), batch)
        except ValueError as error:
            explain_one_row(error)
            raise
        self.epoch_monitor.add(loss.detach(), len(batch["y"]))
        return loss * batch["share"] if "share" in batch else loss

    @override
    def validation_step(self, batch: Any, batch_idx: int) -> None:
        batch = self._read(batch)
        if "row" not in batch:
            evaluated = [y for _, y, _ in self._evaluated]
            batch["row"] = row_ids(batch["y"], evaluated, self.trainer.world_size)
        # With fewer rows than processes, one of them gets a batch without a row.
        empty = at_least_float32(next(self.parameters()).new_zeros(0, self.num_outputs, device=batch["y"].device))
        outputs = self._outputs(batch) if len(batch["y"]) else empty
        self._evaluated.append((batch["row"], batch["y"], outputs))

    test_step = validation_step

    @override
    def on_validation_epoch_end(self) -> None:
        rows = self.fit_decisions(gather_outputs(self._evaluated))
        self.evaluation = evaluate(rows, self.task, self.loss, self.metrics)
        split = "test" if self.trainer.testing else "val"
        self.log_dict({f"{split}/{name}": value for name, value in self.evaluation.metrics.items()})

    on_test_epoch_end = on_validation_epoch_end

    @override
    def predict_step(self, batch: Any, batch_idx: int) -> Batch:
        batch = self._read(batch, has_targets=False)
        rows = {"row": batch["row"]} if "row" in batch else {}
        return {**rows, "prediction": self.task.predict(self._outputs(batch))}

    def _read(self, batch: Any, has_targets: bool = True) -> Batch:
        if isinstance(batch, dict) and "row" in batch:  # of a loader of ``datamodules``, which keeps the format
            return batch
        return self.batch_format.read(batch, next(self.parameters()).dtype, has_targets)

    def _outputs(self, batch: Batch) -> Tensor:
        return at_least_float32(self(batch["x"], batch.get("categories"), batch.get("lengths")))

    def _loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return loss_of(self.loss, outputs, self.task.loss_target(batch["y"], outputs.dtype))
