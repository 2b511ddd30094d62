"""Weights of another training as the start of this one: names and shapes are matched, and the rest is reported."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from lit_models.errors import ConfigError
from lit_models.training.state_dict_file import StateDictFile, read_state_dict

OF_LOSS = "loss."
"""Prefix of what a LitModel's state dict holds beside its network: statistics of the train rows, not weights."""

COUNTER = "num_batches_tracked"
"""Buffer of batch norms that files before torch 0.4.1 lack; it changes nothing, unless momentum is None."""

SHOWN = 3
"""Names in an error message; the record has all."""


@dataclass(frozen=True)
class LoadedWeights:
    """Weights that a training starts from, as plain values for its record.

    Args:
        file: Path of the file.
        sha256: SHA-256 of its content.
        loaded: Number of tensors of the network that are from the file.
        missing: Names of the network's other tensors.
        unexpected: Names that only the file has.
        mismatched: Names of both with different shapes, and the two shapes.
    """

    file: str
    sha256: str
    loaded: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Returns the values for JSON and for a checkpoint."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def load_weights(model: nn.Module, name: str, partial: bool) -> LoadedWeights:
    """Reads a file and copies its tensors into a model, in place.

    A prefix that at least half of the file's names have is replaced by one that at least half of the model's have,
    such as ``module.`` by ``network.``, if more tensors fit by then.

    Args:
        model: The model; what its state dict has below ``loss.`` is left as it is.
        name: See ``read_state_dict``.
        partial: Load what fits, where a tensor is missing, unexpected or of another shape.

    Raises:
        ConfigError: For a file that cannot be read, has weights that are not finite, does not fit without ``partial``,
            or does not fit at all.
    """
    file = read_state_dict(name)
    ours = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(OF_LOSS)}
    theirs = renamed({name: tensor for name, tensor in file.state.items() if not name.startswith(OF_LOSS)}, ours)
    fitting = {name: tensor for name, tensor in theirs.items() if name in ours and fits(tensor, ours[name])}
    mismatched = [name for name in theirs if name in ours and name not in fitting]
    result = LoadedWeights(
        str(file.path),
        file.sha256,
        len(fitting),
        tuple(name for name in ours if name not in theirs and not name.endswith(COUNTER)),
        tuple(name for name in theirs if name not in ours),
        tuple(f"{name} is {_shape(theirs[name])} in it and {_shape(ours[name])} here" for name in mismatched),
    )
    _check(model, file, result, partial, ours)
    before = {name: bool(ours[name].isfinite().all()) for name in fitting}  # a buffer may be infinite by design
    model.load_state_dict(fitting, strict=False)
    for name in (name for name, is_finite in before.items() if is_finite and not ours[name].isfinite().all()):
        raise ConfigError(f"--model.weights {file.path}: {name} is not finite; take weights from before the divergence")
    return result


def renamed(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns a file's tensors by the model's names, with the pair of prefixes by which the most fit."""
    best, best_score = dict(theirs), (-1, -1)
    for old, new in product(_prefixes(theirs), _prefixes(ours)):
        names = {f"{new}{name.removeprefix(old)}": tensor for name, tensor in theirs.items()}
        equal = [name for name in names if name in ours]
        score = (sum(fits(names[name], ours[name]) for name in equal), len(equal))
        if len(names) == len(theirs) and score > best_score:
            best, best_score = names, score
    return best


def fits(theirs: Tensor, ours: Tensor) -> bool:
    """Returns True if a tensor can be copied into another one: equal shape, and numbers of the same kind."""
    plain = theirs.layout == torch.strided and theirs.device.type == "cpu" and not theirs.is_quantized
    kinds = [(tensor.is_floating_point(), tensor.is_complex(), tensor.dtype == torch.bool) for tensor in (theirs, ours)]
    return plain and theirs.shape == ours.shape and kinds[0] == kinds[1]


def some(names: Iterable[str], shown: int = SHOWN) -> str:
    """Returns the first names as text, with the number of the others."""
    names = [*names]
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{', '.join(names[:shown])}{more}"


def note(weights: Mapping[str, Any]) -> str:
    """Returns one line about the values of ``LoadedWeights.as_dict``."""
    missing, unexpected, mismatched = (weights[name] for name in ("missing", "unexpected", "mismatched"))
    left = "; ".join(_differences(missing, unexpected, mismatched))
    start = f"weights: {weights['loaded']} tensors are from {weights['file']} (sha256 {weights['sha256'][:12]})"
    return f"{start}; {left}" if left else start


def _differences(missing: Iterable[str], unexpected: Iterable[str], mismatched: Iterable[str]) -> list[str]:
    texts = {"it lacks ": some(missing), "only it has ": some(unexpected), "": some(mismatched)}
    return [f"{text}{names}" for text, names in texts.items() if names]


def _check(
    model: nn.Module, file: StateDictFile, result: LoadedWeights, partial: bool, ours: Mapping[str, Tensor]
) -> None:
    owner = f"--model.weights {file.path}"
    if not result.loaded:
        raise ConfigError(
            f"no tensor of {owner} has the name and the shape of one of this {type(model).__name__}: it has "
            f"{some(file.state)}, and the model has {some(ours)}; name weights of this architecture"
        )
    differences = _differences(result.missing, result.unexpected, result.mismatched)
    if differences and not partial:
        raise ConfigError(
            f"{owner} does not fit this {type(model).__name__}: {'; '.join(differences)}; "
            f"to load the {result.loaded} tensors that fit, add --model.weights_partial true"
        )


def _prefixes(names: Iterable[str]) -> list[str]:
    """Returns the prefixes of up to three components that at least half of the names have, the empty one first."""
    counts: Counter[str] = Counter()
    names = [*names]
    for name in names:
        parts = name.split(".")[:-1]
        counts.update(".".join([*parts[:depth], ""]) for depth in range(1, min(3, len(parts)) + 1))
    return ["", *(prefix for prefix, count in counts.items() if 2 * count >= len(names))]


def _shape(tensor: Tensor) -> str:
    kind = "" if tensor.layout == torch.strided else " sparse"
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}{kind}"
