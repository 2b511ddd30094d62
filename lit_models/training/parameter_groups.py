"""Groups of an optimizer's parameters: those that do not decay, and layers with learning rates of their own."""

import re
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from lit_models.errors import ConfigError
from lit_models.training.pretrained_weights import some

SHOWN = 12
"""Names in an error message about a pattern that matches nothing."""

NETWORK = "network."
"""Prefix of a LitModel's layers; other parameters, such as those of a loss, have the rate of the last layer."""


def parameter_groups(
    named: Mapping[str, nn.Parameter],
    axes: Mapping[str, int],
    defaults: Mapping[str, Any],
    lr_decay: float,
    settings: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Returns an optimizer's groups, the last layer's first; groups without settings of their own have the defaults.

    Args:
        named: The parameters to train by their names.
        axes: The number of axes of every parameter of the module; with fewer than two it gets no weight decay.
        defaults: The optimizer's arguments.
        lr_decay: See ``FineTunedModule``.
        settings: Settings of single parameters by their names; they win over weight decay and rate by layer.
    """
    decays, depths = "weight_decay" in defaults, _depths(axes) if lr_decay < 1 else {}
    groups: dict[tuple[int, bool, str], dict[str, Any]] = {}
    for name, parameter in named.items():
        depth, is_exempt, own = depths.get(name, 0), decays and axes[name] < 2, settings.get(name, {})
        key = depth, is_exempt, repr(sorted(own.items()))
        if key not in groups:
            by_axes = {"weight_decay": 0.0} if is_exempt else {}
            by_layer = {"lr": defaults["lr"] * lr_decay**depth} if depth else {}
            groups[key] = {"params": [], **by_axes, **by_layer, **own}
        groups[key]["params"].append(parameter)
    return [groups[key] for key in sorted(groups)]


def pattern_settings(
    names: Sequence[str], patterns: Mapping[str, Mapping[str, Any]], optimizer: Optimizer
) -> dict[str, dict[str, Any]]:
    """Returns the settings of the parameters whose names match regular expressions; a later expression wins.

    Raises ``ConfigError`` for an expression that is none or matches nothing, and for a setting that the optimizer does
    not have or whose value is of another type, which torch ignores or fails on later.
    """
    found: dict[str, dict[str, Any]] = {}
    for pattern, settings in patterns.items():
        owner = f"--model.optimizer_groups {pattern!r}"
        try:
            matching = [name for name in names if re.search(pattern, name)]
        except re.error as error:
            raise ConfigError(f"{owner} is no regular expression: {error}") from error
        if not matching:
            raise ConfigError(f"{owner} matches no parameter; the parameters are {some(names, SHOWN)}")
        if not isinstance(settings, Mapping) or not settings:
            raise ConfigError(f'{owner} needs settings, as in \'{{"{pattern}": {{"weight_decay": 0}}}}\'')
        for setting, value in settings.items():
            if setting not in optimizer.defaults:
                have = ", ".join(optimizer.defaults)
                raise ConfigError(f"{owner}: {type(optimizer).__name__} has no {setting} for a group; it has {have}")
            if not _is_alike(value, optimizer.defaults[setting]):
                raise ConfigError(
                    f"{owner}: {setting} is {value!r}, and the optimizer's is {optimizer.defaults[setting]!r}"
                )
        for name in matching:
            found.setdefault(name, {}).update(
                {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
            )
    return found


def _is_alike(value: Any, default: Any) -> bool:
    """Returns True for a finite number, not negative, in place of one, and for a value of the other's type."""
    if isinstance(default, bool) or default is None:
        return isinstance(value, bool)
    if isinstance(default, tuple | list):
        pairs = zip(value, default, strict=False) if isinstance(value, tuple | list) else ()
        return (
            isinstance(value, tuple | list) and len(value) == len(default) and all(_is_alike(*pair) for pair in pairs)
        )
    if isinstance(default, int | float | Tensor):
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < inf
    return isinstance(value, type(default))


def layers(axes: Mapping[str, int]) -> list[list[str]]:
    """Returns the names of each layer's parameters from a network's input to its output, in order of registration.

    A layer is the outermost module whose name ends with a number, such as ``blocks.2`` or ``layer1``, or one without
    such modules inside, such as ``head``. Without any numbers it is each module that has parameters of its own. A norm
    belongs to the layer before it. ``axes`` are the numbers of axes of all parameters by name.
    """
    paths = {name: (*name.split(".")[:-1],) for name in axes if name.startswith(NETWORK)}
    ends = {
        name: next((size for size, part in enumerate(path, 1) if part[-1:].isdigit()), 0)
        for name, path in paths.items()
    }
    containers = {path[:size] for name, path in paths.items() for size in range(ends[name])}
    found: dict[tuple[str, ...], list[str]] = {}
    for name, path in paths.items():
        inside = [size for size in range(1, len(path) + 1) if containers and path[:size] not in containers]
        found.setdefault(path[: ends[name] or min(inside, default=len(path))], []).append(name)
        if path in containers and name.endswith(".weight"):
            raise ConfigError(
                f"lr_decay_by_layer cannot tell which layer {name} is, beside modules with numbers; leave it out"
            )
    merged: list[list[str]] = []
    for names in found.values():
        if merged and not all(any(axes[name] >= 2 for name in layer) for layer in (names, merged[-1])):
            merged[-1] += names
        else:
            merged.append(names)
    return merged


def check_rates(optimizer: Optimizer, rates: Sequence[float]) -> None:
    """Raises ``ConfigError`` if a schedule has replaced the ``rates`` of the groups by one for all of them."""
    factors = [
        float(group.get("initial_lr", rate)) / float(rate)
        for group, rate in zip(optimizer.param_groups, rates, strict=True)
        if rate
    ]
    if factors and max(factors) > min(factors) * (1 + 1e-6):
        raise ConfigError(
            "this schedule sets one learning rate for all layers; leave --model.lr_decay_by_layer out, or take a "
            "schedule that multiplies the rates, such as CosineAnnealingLR"
        )


def _depths(axes: Mapping[str, int]) -> dict[str, int]:
    """Returns the number of layers between each parameter and the output."""
    found = layers(axes)
    if len(found) < 2:
        raise ConfigError("lr_decay_by_layer needs a network of several layers, and this one has one; leave it out")
    return {name: depth for depth, names in enumerate(reversed(found)) for name in names}
