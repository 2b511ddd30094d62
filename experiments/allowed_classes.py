"""Checks classes of allowed packages: only base classes of arguments, and no constructor that reads a file.

An allowed package is not an allowed class: a function of it may unpickle a file, as Lightning's
``_load_from_checkpoint`` does, and so may a constructor. jsonargparse itself checks that a class fits the argument.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from experiments.internals.jsonargparse_private import ImportDenied, check_imports, import_object
from lit_models.errors import ConfigError

READING = {
    "torchmetrics.audio.dnsmos.DeepNoiseSuppressionMeanOpinionScore": "downloads a network",
    "torchmetrics.audio.nisqa.NonIntrusiveSpeechQualityAssessment": "downloads and unpickles a network",
    "torchmetrics.functional.image.dists.DISTSNetwork": "unpickles a network",
    "torchmetrics.image.arniqa.ARNIQA": "downloads a network",
    "torchmetrics.image.dists.DeepImageStructureAndTextureSimilarity": "unpickles a network",
    "torchmetrics.image.fid.FrechetInceptionDistance": "unpickles a network from a file that an argument names",
    "torchmetrics.image.fid.NoTrainInceptionV3": "unpickles a network from a file that an argument names",
    "torchmetrics.image.inception.InceptionScore": "downloads a network",
    "torchmetrics.image.kid.KernelInceptionDistance": "downloads a network",
    "torchmetrics.image.lpip.LearnedPerceptualImagePatchSimilarity": "unpickles a network",
    "torchmetrics.image.mifid.MemorizationInformedFrechetInceptionDistance": "downloads a network",
    "torchmetrics.image.perceptual_path_length.PerceptualPathLength": "unpickles a network",
    "torchmetrics.multimodal.clip_iqa.CLIPImageQualityAssessment": "loads a network that an argument names",
    "torchmetrics.multimodal.clip_score.CLIPScore": "loads a network that an argument names",
    "torchmetrics.text.bert.BERTScore": "loads a network that an argument names",
    "torchmetrics.text.infolm.InfoLM": "loads a network that an argument names",
    "torchmetrics.text.rouge.ROUGEScore": "downloads a tokenizer",
}
"""Classes that need ``--trust``, with the reason; a test searches the installed versions for others.

Loggers and strategies are not included.
"""

FUNCTIONS = ("lightning.pytorch.callbacks.finetuning.multiplicative", "torch.nn.functional.relu")
"""Allowed functions: defaults of arguments, which are in the configurations of runs."""


@lru_cache(maxsize=1)
def bases() -> tuple[type, ...]:
    """Returns the base classes of fit's arguments, and the two dataclasses that are arguments themselves."""
    from lightning.fabric.plugins import CheckpointIO, ClusterEnvironment, Precision
    from lightning.pytorch import Callback
    from lightning.pytorch.accelerators import Accelerator
    from lightning.pytorch.loggers import Logger
    from lightning.pytorch.plugins import LayerSync
    from lightning.pytorch.profilers import Profiler
    from lightning.pytorch.strategies import Strategy
    from torch import nn
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    from datamodules import Augment, DataModule
    from lit_models.schedules import Schedule

    # a metric, a LightningModule and a loss are an nn.Module
    classes = (nn.Module, Optimizer, LRScheduler, DataModule, Callback, Logger, Strategy, Profiler, Accelerator)
    return (*classes, CheckpointIO, ClusterEnvironment, LayerSync, Precision, Schedule, Augment)


def refusal(value: Any) -> str | None:
    """Returns why only ``--trust`` allows an object of an allowed package, or None if it may be named."""
    if _path(value) in FUNCTIONS:
        return None
    if not isinstance(value, type):
        return "it is not a class"
    if any(name.startswith("_") for name in value.__qualname__.split(".")):
        return "its name is private"
    if not issubclass(value, bases()):
        return (
            "it is no optimizer, scheduler, callback, module, metric, logger, strategy, profiler, plugin or data module"
        )
    return f"it {READING[_path(value)]}" if _path(value) in READING else None


def import_class(path: str) -> Any:
    """Imports the class of a checkpoint or an artefact, if a configuration may name it.

    Raises:
        ConfigError: If the class is not allowed.
    """
    try:
        return import_object(path)
    except ImportDenied as error:
        if ", since " in str(error):  # of an allowed package, but not allowed itself
            raise ConfigError(f"the class {path} may not be named: {error}") from error
        package = path.rpartition(".")[0]
        raise ConfigError(
            f"the class {path} is of no trusted package; if {package} is yours, add --trust {package}, in Python "
            f"trust=[{package!r}]"
        ) from error


def install(trusted: set[str]) -> None:
    """Checks every object that a configuration names, from now on; ``trusted`` is read at each check; idempotent."""

    def check(value: Any, paths: set[str]) -> str | None:
        reason = refusal(value)
        if reason is None or any(is_below(path, trusted) for path in paths):
            return None
        return f"Importing '{_path(value)}' is not allowed, since {reason}."

    check_imports(check)


def _path(value: Any) -> str:
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    return f"{module}.{name}" if module and name else type(value).__qualname__


def is_below(path: str, packages: Iterable[str]) -> bool:
    """Returns True if an import path is one of the packages, or in one of them."""
    return any(f"{path}.".startswith(f"{package}.") for package in packages)
