"""The space of a search: a YAML file with a range or choices for each setting."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import yaml
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from experiments import safe_yaml
from experiments.run.record.method_checks import on_the_edge
from experiments.sweep.grid import Settings, check_key
from lit_models.errors import ConfigError

KINDS = "range: [0.0, 0.5], log: [1e-4, 1e-1], int: [1, 4], log_int: [16, 512] or choices: [a, b]"

Space = dict[str, BaseDistribution]


def read_space(path: Path) -> Space:
    """Reads the distribution of each setting.

    Raises:
        ConfigError: For a file that cannot be read, or a setting without one of ``KINDS``.
    """
    try:
        content = safe_yaml.load(safe_yaml.read_text(path))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"--space {path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or not content:
        raise ConfigError(f"--space {path} holds no settings; write one a line, model.optimizer.lr: {{log: [1e-4, 1]}}")
    space: Space = {}
    for key, value in content.items():
        check_key(f"{key} in --space {path}", str(key))
        try:
            ((kind, bounds),) = value.items()
            space[str(key)] = _distribution(kind, bounds)
        except (AttributeError, TypeError, ValueError) as error:
            reason = f": {error}" if str(error).startswith(("the", "bounds")) else ""
            raise ConfigError(f"{key} in --space {path} is {value!r}{reason}; it has one of {KINDS}") from error
    return space


def settings_of(params: dict[str, Any]) -> Settings:
    """Returns the values of a trial as they are typed."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in params.items()}


def corners(space: Space) -> list[Settings]:
    """Returns settings with every choice and both ends of every range, to be parsed before any trial."""
    values = [_ends(distribution) for distribution in space.values()]
    count = max(len(ends) for ends in values)
    return [
        settings_of({key: ends[min(index, len(ends) - 1)] for key, ends in zip(space, values, strict=True)})
        for index in range(count)
    ]


def edge_lines(params: dict[str, Any], space: Space) -> list[str]:
    """Returns a line for each chosen value at the edge of its range."""
    ranges = {key: each for key, each in space.items() if isinstance(each, FloatDistribution | IntDistribution)}
    lines = (
        on_the_edge(key, params[key], each.low, each.high, each.log, isinstance(each, IntDistribution))
        for key, each in ranges.items()
    )
    return [line for line in lines if line]


def as_text(space: Space) -> str:
    """Returns the space in Optuna's JSON, for comparison."""
    return json.dumps({key: distribution_to_json(distribution) for key, distribution in sorted(space.items())})


def _distribution(kind: str, bounds: Any) -> BaseDistribution:
    if kind == "choices":
        choices = [choice if isinstance(choice, str) else json.dumps(choice) for choice in bounds]
        if isinstance(bounds, str) or not choices:
            raise ValueError("the choices are no list")
        return CategoricalDistribution(choices)
    is_whole, is_log = kind in ("int", "log_int"), kind in ("log", "log_int")
    if not (is_whole or is_log or kind == "range"):
        raise TypeError
    low, high = bounds if is_whole else map(float, bounds)  # YAML reads 1e-4 as text
    if is_whole and not all(type(bound) is int for bound in bounds):
        raise ValueError("the ends are no whole numbers")
    if not -math.inf < low < high < math.inf:
        raise ValueError("the lower end is not below the upper one")
    lowest = 1 if is_whole else sys.float_info.min
    if is_log and low < lowest:
        raise ValueError(f"the lower end is below {lowest:.4g}, too low for a logarithm")
    return IntDistribution(int(low), int(high), is_log) if is_whole else FloatDistribution(low, high, is_log)


def _ends(distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return [distribution.low, distribution.high]
