"""Fine-tuning: weights to start from, and parameters that stay as they are, for good or in the first epochs."""

import re
from collections.abc import Iterable
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import StochasticWeightAveraging, WeightAveraging
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import nn
from typing_extensions import override

from lit_models.decisions.decided_module import DecidedModule
from lit_models.errors import ConfigError
from lit_models.internals.lightning_parts import refill_average
from lit_models.internals.torch_parts import FSDP_PREFIX, BatchNorm
from lit_models.training.parameter_groups import SHOWN
from lit_models.training.pretrained_weights import load_weights, some


class FineTuning(Callback):
    """Loads weights when a training starts, and freezes the parameters whose names match a regular expression.

    Lightning's ``BaseFinetuning`` is not its base: it adds an optimizer's group when it unfreezes, for which a schedule
    that is under way has no rate, and lets batch norms of frozen modules learn. Here the optimizer has the parameters
    from the start, and leaves them alone while they have no gradient. Frozen batch norms use their running statistics.

    Args:
        weights: File or folder, see ``read_state_dict``.
        partial: Load what fits.
        freeze: Regular expression, searched in the names of parameters.
        unfreeze_epoch: Number of epochs after which the frozen parameters are trained too; None for never.
    """

    def __init__(self, weights: str | None, partial: bool, freeze: str | None, unfreeze_epoch: int | None) -> None:
        if partial and weights is None:
            raise ConfigError("weights_partial needs weights to load; set --model.weights")
        if unfreeze_epoch is not None and (freeze is None or unfreeze_epoch < 1):
            raise ConfigError(
                f"unfreeze_epoch {unfreeze_epoch} is the number of epochs, at least 1, in which what --model.freeze "
                "names is not trained; set both"
            )
        try:
            self.pattern = None if freeze is None else re.compile(freeze)
        except re.error as error:
            raise ConfigError(f"--model.freeze {freeze!r} is no regular expression: {error}") from error
        self.weights, self.partial, self.unfreeze_epoch = weights, partial, unfreeze_epoch
        self.loaded: dict[str, Any] | None = None  # about the weights, for the record
        self.has_weights = weights is None  # True once there are others than random ones
        self.frozen: tuple[str, ...] = ()  # names of parameters
        self.norms: frozenset[str] = frozenset()  # names of batch norms of which every parameter is frozen

    def keep_weights(self, *_: Any) -> None:
        """Keeps the weights that the model has, or that a checkpoint will give it; a hook of ``load_state_dict``."""
        self.has_weights = True

    @property
    def trained_later(self) -> tuple[str, ...]:
        """Names of the parameters that are frozen in the first epochs."""
        return () if self.unfreeze_epoch is None else self.frozen

    def prepare(self, trainer: Trainer, model: LightningModule) -> None:
        """Loads the weights, unless the model has some, and freezes; raises ``ConfigError`` for what does not fit."""
        if not self.has_weights and self.weights is not None:
            self.loaded = load_weights(model, self.weights, self.partial).as_dict()
            for callback in trainer.callbacks:  # type: ignore[attr-defined]  # set from another class
                if isinstance(callback, WeightAveraging):
                    refill_average(callback, model)  # it has copied the random weights
        if self.pattern is not None and not self.frozen:
            self._find(model, self.pattern)
        if self.pattern is not None:
            self._check(trainer)
            self._set_gradients(model, is_frozen=True)

    def notes(self) -> list[str]:
        """Returns a line about the frozen parameters, if there are any."""
        until = "" if self.unfreeze_epoch is None else f" until epoch {self.unfreeze_epoch} has ended"
        return [f"frozen{until}: {some(self.frozen)}"] if self.frozen else []

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.on_train_epoch_start(trainer, pl_module)  # an epoch that is resumed inside does not start

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        is_frozen = self.unfreeze_epoch is None or trainer.current_epoch < self.unfreeze_epoch
        self._set_gradients(pl_module, is_frozen)
        for name, module in pl_module.named_modules():
            if name.replace(FSDP_PREFIX, "") in self.norms:
                module.train(not is_frozen)

    def _find(self, model: nn.Module, pattern: re.Pattern[str]) -> None:
        names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        self.frozen = tuple(filter(pattern.search, names))
        if not self.frozen or len(self.frozen) == len(names):
            reason = "leaves nothing to train" if self.frozen else "matches no parameter"
            raise ConfigError(f"--model.freeze {pattern.pattern!r} {reason}; the parameters are {some(names, SHOWN)}")
        frozen = {*self.frozen}
        norms = {name: module for name, module in model.named_modules() if isinstance(module, BatchNorm)}
        of_norms = {name: [f"{name}.{inner}" for inner, _ in norm.named_parameters()] for name, norm in norms.items()}
        # A batch norm without scale and bias has running statistics alone.
        without = {name for name, inner in of_norms.items() if not inner and pattern.search(f"{name}.running_mean")}
        self.norms = frozenset(without | {name for name, inner in of_norms.items() if inner and frozen >= {*inner}})

    def _check(self, trainer: Trainer) -> None:
        callbacks: Iterable[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set from another class
        if self.norms and any(isinstance(callback, StochasticWeightAveraging) for callback in callbacks):
            raise ConfigError(
                "StochasticWeightAveraging computes the statistics of all batch norms again, and --model.freeze keeps "
                f"those of {some(self.norms, 1)}; take EMAWeightAveraging"
            )
        if self.unfreeze_epoch is not None and not isinstance(trainer.strategy, SingleDeviceStrategy):
            raise ConfigError(
                f"unfreeze_epoch does not go with {type(trainer.strategy).__name__}, whose processes agree once on "
                "what is trained; leave it out, and start a second run from this one's weights with --model.weights"
            )

    def _set_gradients(self, model: nn.Module, is_frozen: bool) -> None:
        frozen = {*self.frozen}
        for name, parameter in model.named_parameters():
            if name.replace(FSDP_PREFIX, "") in frozen:
                parameter.requires_grad_(not is_frozen)


class FineTunedModule(DecidedModule):
    """LightningModule that starts from given weights, freezes parameters, and trains layers at rates of their own.

    Args:
        weights: File of weights to start from, of safetensors or ``torch.save``, or the folder of a run, whose best
            checkpoint is taken. Read when a training starts; a resumed run, a test and an export need it no more.
        weights_partial: Load the tensors that fit, if others are missing, unexpected or of another shape: to start from
            a network with another number of classes.
        freeze: Regular expression, searched in the names of parameters: those that match are not trained, and batch
            norms among them keep their statistics.
        unfreeze_epoch: Number of epochs after which the frozen parameters are trained too.
        lr_decay_by_layer: Factor of the learning rate from one layer to the one before it, above 0 and up to 1: the
            last layer has the optimizer's rate (Howard & Ruder 2018, "ULMFiT"; Clark et al. 2020, "ELECTRA").
        optimizer_groups: Settings of the optimizer for the parameters whose names match regular expressions, as in
            ``{"bias|norm": {"weight_decay": 0}}``; a later expression wins.
        decisions: Options of ``DecidedModule``, see ``lit_models.decisions``.
    """

    def __init__(
        self,
        weights: str | None = None,
        weights_partial: bool = False,
        freeze: str | None = None,
        unfreeze_epoch: int | None = None,
        lr_decay_by_layer: float = 1.0,
        optimizer_groups: dict[str, dict[str, Any]] | None = None,
        **decisions: Any,
    ) -> None:
        super().__init__(**decisions)
        if not 0 < lr_decay_by_layer <= 1:
            raise ConfigError(f"lr_decay_by_layer must be above 0 and up to 1, and it is {lr_decay_by_layer}")
        self.fine_tuning = FineTuning(weights, weights_partial, freeze, unfreeze_epoch)
        self.register_load_state_dict_post_hook(self.fine_tuning.keep_weights)  # type: ignore[no-untyped-call]
        self.lr_decay_by_layer, self.optimizer_groups = lr_decay_by_layer, optimizer_groups or {}
