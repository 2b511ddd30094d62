"""The LightningModule that every architecture stands on: one step for train, validation and test."""

import copy
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Literal, Self

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.plugins import DoublePrecision
from lightning.pytorch.strategies import FSDPStrategy
from torch import Tensor, distributed, nn
from torch.optim import AdamW, Optimizer
from torchmetrics import Metric

from lit_models.distributed.shared_memory_gather import gathered
from lit_models.errors import ConfigError
from lit_models.metrics.evaluation import Evaluation, Kept, evaluate, together
from lit_models.schedules import Schedule
from lit_models.schedules.total_steps import total_steps
from lit_models.stems.stem import Modality
from lit_models.tasks import TASKS, TaskName
from lit_models.training import multi_step
from lit_models.training.batch import Batch
from lit_models.training.class_weights import ClassWeights
from lit_models.training.epoch_monitor import peak_memory
from lit_models.training.loss_precision import at_least_float32, keep_bits, loss_of
from lit_models.training.mixup import Mixup
from lit_models.training.multi_step import Pace, check_pace, goes_singly
from lit_models.training.optimizer import ScaleRate, build_optimizer, dims, scale_rate
from lit_models.training.safe_hparams import save_plain_hyperparameters


class Compiled:
    """Compiles a network where it stands, so that the names in its state dict stay as they are.

    The first batch of another size than the ones before, such as the last of an epoch, compiles the network once more
    with a free number of rows; every later size is served by that. Training and evaluation are compiled each.

    Args:
        network: What is compiled at its next call.
    """

    def __init__(self, network: nn.Module) -> None:
        self.graphs = 0
        network.compile(backend=self._count)

    def _count(self, graph: Any, inputs: Any) -> Any:
        from torch._inductor.compile_fx import compile_fx  # a second of imports

        self.graphs += 1
        return compile_fx(graph, inputs)


class LitModel(LightningModule):
    """An architecture's LightningModule: what a subclass adds is ``self.network``.

    The first six arguments are the data's facts, which the command line fills in from the data module.

    Args:
        task: What is asked: binary, multiclass, multilabel or regression.
        modality: What a row is: table, series, image or text.
        input_shape: Shape of one row: (F,) for a table, (C, T) for a series, (C, H, W) for an image,
            (T,) for a text; a batch of padded rows may have fewer steps than T.
        num_outputs: Classes of multiclass, labels of multilabel, targets of regression, 1 for binary.
        cardinalities: Number of categories of each categorical column of a table; ``input_shape`` counts the others.
        vocab_size: Number of token ids of a text, those of padding (0) and of unknown tokens (1) among them.
        loss: Any loss of ``torch.nn`` or ``lit_models.losses`` that fits the task, or one of your own; the
            task's usual one where it is left out.
        class_weights: Let every class count as much as any other in the loss, by the counts of the train rows; the
            losses that are logged are weighted too.
        mixup: Train on mixtures of two rows, their shares drawn from Beta(mixup, mixup): 0.2 mixes little, 1 much, 0
            not at all. The loss that is logged of training is then that of the mixtures.
        optimizer: Any ``torch.optim`` optimizer with its settings.
        schedule: A learning-rate schedule; a constant rate where it is left out.
        metrics: Metrics to compute besides the task's, by name; they get what the task's get.
        scale_lr: Multiply the optimizer's rate with the number of devices (linear) or its root (sqrt), for when
            ``data.batch_size``, which is that of all devices together, is multiplied with it too.
        compile: Compile the network with ``torch.compile``: seconds at first, faster steps after, if it pays.
        steps_per_execution: Optimizer steps that are taken between two looks of Lightning and its callbacks. The
            result is that of 1, bit for bit; small networks train up to twice as fast, and what happens every so many
            steps happens where a block of them ends. Left to choose, it takes as many on a CPU as a tenth to three
            tenths of a second have, and 1 where a callback or the model looks at single steps.

    Raises:
        ConfigError: For a task or modality that does not exist, or a loss that does not fit.
    """

    network: nn.Module

    def __init__(
        self,
        task: TaskName,
        modality: Modality,
        input_shape: Sequence[int],
        num_outputs: int,
        cardinalities: Sequence[int] = (),
        vocab_size: int = 0,
        loss: nn.Module | None = None,
        class_weights: bool = False,
        mixup: float = 0.0,
        optimizer: Callable[[Iterable[Any]], Optimizer] = AdamW,
        schedule: Schedule | None = None,
        metrics: dict[str, Metric] | None = None,
        scale_lr: ScaleRate = "none",
        compile: bool = False,
        steps_per_execution: int | Literal["auto"] = "auto",
    ) -> None:
        super().__init__()
        save_plain_hyperparameters(self)
        if task not in TASKS:
            raise ConfigError(f"task {task!r} is unknown; it is one of {', '.join(TASKS)}")
        self.modality = modality
        self.input_shape = tuple(input_shape)
        self.num_outputs = int(num_outputs)
        self.cardinalities = tuple(cardinalities)
        self.vocab_size = int(vocab_size)
        self.task = TASKS[task](self.num_outputs)
        self.loss = loss or self.task.losses[0]()
        self.task.check_loss(self.loss)
        self.class_weights = ClassWeights(self.loss, self.num_outputs) if class_weights else None
        self.mixup = Mixup(mixup, self.cardinalities, self.vocab_size) if mixup else None
        self.optimizer_factory = optimizer
        self.schedule = schedule
        self.scale_lr = scale_lr
        self.compiles = compile
        self.compiled: Compiled | None = None
        self._axes: dict[str, int] = {}
        if steps_per_execution != "auto" and (not isinstance(steps_per_execution, int) or steps_per_execution < 1):
            raise ConfigError(f"steps_per_execution must be auto or at least 1, and it is {steps_per_execution!r}")
        self.steps_per_execution = steps_per_execution
        self.pace = Pace(None if steps_per_execution == "auto" else steps_per_execution)
        self._singly = False
        self.ahead: list[multi_step.Step] = []
        # In a plain dict: no state of theirs belongs into a checkpoint, since they are reset before every use.
        self.metrics = {**self.task.metrics(), **(metrics or {})}
        for metric in self.metrics.values():
            metric.sync_on_compute = False  # every process gets all rows, see together
        self.evaluation: Evaluation | None = None
        self._kept: list[Kept] = []
        self._loss_sum = torch.zeros(())
        self._rows_seen = 0
        self._epoch_started = 0.0
        self._gradient_norm: Tensor | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        # Lightning sets this one forty times a step, each time through all that torch does for parameters and modules.
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # What makes optimizers and schedules is shared: made by the command line, it holds on to the whole of it.
        memo |= {id(one): one for one in (self.optimizer_factory, self.schedule)}
        copied = memo[id(self)] = type(self).__new__(type(self))
        copied.__setstate__(copy.deepcopy(self.__getstate__(), memo))  # type: ignore[no-untyped-call]
        return copied

    def direction(self, name: str) -> Literal["min", "max"]:
        """Whether a logged metric, such as ``val/accuracy``, is best when low or high.

        Raises:
            ConfigError: For a name that nothing logs, with those that exist.
        """
        if name not in self.logged():
            raise ConfigError(f"nothing logs {name!r}; these are logged: {', '.join(self.logged())}")
        metric = self.metrics.get(name.partition("/")[2])
        return "max" if metric is not None and metric.higher_is_better else "min"

    def logged(self) -> list[str]:
        """The names of what a fit logs, once an epoch."""
        return ["train/loss", *(f"val/{name}" for name in ("loss", *self.metrics))]

    def forward(self, x: Tensor, categories: Tensor | None = None, lengths: Tensor | None = None) -> Tensor:
        """Rows to the network's outputs (N, num_outputs), of which the task makes predictions.

        Args:
            x: Inputs (N, *input_shape).
            categories: Indices (N, C) below ``cardinalities``, where a table has categorical columns.
            lengths: Steps that count (N,), each at least 1, where series or texts are padded; what comes after them,
                and how much, changes no output.
        """
        beside = {"categories": categories, "lengths": lengths}
        outputs: Tensor = self.network(x, **{name: value for name, value in beside.items() if value is not None})
        return outputs

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        with keep_bits(self.loss):
            super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def setup(self, stage: str) -> None:
        """Take over what a data module has learned of the targets: their statistics, the classes' counts."""
        data = getattr(self.trainer, "datamodule", None)
        statistics = getattr(data, "target_statistics", None)
        if statistics is not None:
            self.task.set_target_statistics(statistics.center, statistics.scale)
        if self.class_weights is not None and data is not None and stage == "fit":
            self.class_weights.learn(data.class_counts())
        self._axes = dims(self)
        if self.compiles and self.compiled is None:
            self.compiled = Compiled(self.network)

    def on_train_epoch_start(self) -> None:
        """Start the epoch's sums."""
        self._loss_sum, self._rows_seen = torch.zeros((), device=self.device), 0
        self._epoch_started = time.perf_counter()
        self._gradient_norm = None
        self._look()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the epoch's sums so far, of every process."""
        mine = torch.tensor([float(self._loss_sum), self._rows_seen], dtype=torch.float64)
        # after a fit the module is on the CPU, where NCCL gathers nothing
        loss_sum, rows = gathered(mine, self.trainer.strategy.root_device).unbind(dim=1)
        so_far = {"loss_sum": loss_sum.float(), "rows": rows.long()}
        checkpoint["epoch_so_far"] = {**so_far, "seconds": time.perf_counter() - self._epoch_started}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the sums of an epoch that was interrupted; another epoch starts its own."""
        if self._trainer is not None and isinstance(self._trainer.precision_plugin, DoublePrecision):
            self.double()  # Lightning does so after the weights are loaded, and has rounded them by then
        so_far = checkpoint.get("epoch_so_far")
        if so_far is not None:
            # As many processes as before take what they had, fewer the others' too.
            mine = slice(self.global_rank, None, distributed.get_world_size() if distributed.is_initialized() else 1)
            sums = (torch.as_tensor(so_far[name]).reshape(-1)[mine].sum() for name in ("loss_sum", "rows"))
            self._loss_sum, self._rows_seen = next(sums), int(next(sums))
            self._epoch_started = time.perf_counter() - so_far["seconds"]

    def on_train_start(self) -> None:
        """Bring restored sums to the device, and look whether steps can be taken in multi_step."""
        self._look()  # an epoch that is resumed inside does not start
        self._loss_sum = self._loss_sum.to(self.device)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Take the steps of a block but the last one; callbacks find their losses in ``ahead``."""
        steps = 1 if self._singly else self.pace.next(len(self.ahead) + 1)
        if steps > 1:
            self.ahead = multi_step.take_ahead(self, batch, steps)
        elif self.ahead:  # setting an attribute of a module takes a while
            self.ahead = []

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One mini-batch's loss; what is logged of it waits for the epoch's end."""
        if self.mixup is not None:
            loss = self.mixup.loss(self, batch)
        else:
            outputs = self._outputs(batch)
            loss = loss_of(self.loss, outputs, self.task.loss_target(batch["y"], outputs.dtype))
        rows = len(batch["y"])
        self._loss_sum.add_(loss.detach(), alpha=rows)
        self._rows_seen += rows
        return loss * batch["share"] if "share" in batch else loss

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Keep the norm of all gradients at the last step of an epoch, ahead of clipping."""
        if not self.trainer.is_last_batch:
            return
        # Nobody knows it here where a process has parts of them, or where they are still scaled for 16-mixed.
        scaled = self.trainer.precision == "16-mixed" and getattr(optimizer, "_step_supports_amp_scaling", False)
        if not scaled and not isinstance(self.trainer.strategy, FSDPStrategy):
            gradients = [one.grad for one in self.parameters() if one.grad is not None]
            self._gradient_norm = nn.utils.get_total_norm(gradients)

    def on_train_epoch_end(self) -> None:
        """Log the mean loss over rows, the learning rate, the throughput, the gradients' norm and the memory."""
        seconds = time.perf_counter() - self._epoch_started
        sums = torch.stack([self._loss_sum, self._loss_sum.new_tensor(float(self._rows_seen))])
        loss, rows = self.trainer.strategy.reduce(sums, reduce_op="sum").tolist()
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.log_dict({"train/loss": loss / max(rows, 1.0), "train/lr": rate, "train/rows_per_second": rows / seconds})
        self.log("train/memory_mib", peak_memory(self.device))
        if self._gradient_norm is not None:  # steps, not epochs, may have ended the training
            self.log("train/gradient_norm", float(self._gradient_norm))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep a batch's outputs."""
        self._keep(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep a batch's outputs."""
        self._keep(batch)

    def on_validation_epoch_end(self) -> None:
        """Compute and log the metrics of all rows."""
        self._evaluate("val")

    def on_test_epoch_end(self) -> None:
        """Compute and log the metrics of all rows."""
        self._evaluate("test")

    def predict_step(self, batch: Batch, batch_idx: int) -> Batch:
        """Row ids, and probabilities or values in the target's own units."""
        return {"row": batch["row"], "prediction": self.task.predict(self._outputs(batch))}

    def configure_optimizers(self) -> Any:
        """The optimizer, and the schedule that is stepped with it.

        Raises:
            ConfigError: For settings that the optimizer or the scheduler refuses.
        """
        epochs = -1 if self.trainer.max_epochs is None else self.trainer.max_epochs
        try:
            # fused steps unscale 16-bit gradients themselves, too late for clipping
            fused = self.trainer.precision != "16-mixed"
            optimizer = build_optimizer(self.optimizer_factory, self, fused, self._axes)
            if fused:  # Lightning clips in bf16-mixed only where an optimizer says that it unscales nothing
                optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]
            scale_rate(optimizer, self.scale_lr, self.trainer.world_size)
            check_pace(self, optimizer)
            if self.schedule is None:
                return optimizer
            direction = self.direction(self.schedule.monitor) if self.schedule.monitor else "min"
            validation = self.trainer.check_val_every_n_epoch or 1
            steps = partial(total_steps, self.trainer)
            return [optimizer], self.schedule.build(optimizer, steps, epochs, direction, validation)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"the optimizer or its schedule cannot be made: {error}") from error

    def _look(self) -> None:
        """See whether steps can be taken in blocks; callbacks may have changed the trainer since the last epoch."""
        self.pace.restart()
        self._singly = self.steps_per_execution == "auto" and goes_singly(self, self.trainer.optimizers[0])

    def _outputs(self, batch: Batch) -> Tensor:
        return at_least_float32(self(batch["x"], batch.get("categories"), batch.get("lengths")))

    def _keep(self, batch: Batch) -> None:
        # Where there are fewer rows than processes, one of them gets a batch without a row.
        none = at_least_float32(next(self.parameters()).new_zeros(0, self.num_outputs, device=batch["y"].device))
        outputs = self._outputs(batch) if len(batch["y"]) else none
        self._kept.append((batch["row"], batch["y"], outputs))

    def _evaluate(self, part: str) -> None:
        self.evaluation = evaluate(together(self._kept), self.task, self.loss, self.metrics)
        self.log_dict({f"{part}/{name}": value for name, value in self.evaluation.metrics.items()})
