"""``evenhand.explain``: the command ``evenhand explain`` as a function."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import polars

from evenhand.api.run_results import Run
from experiments.cli.entry_point import perform
from experiments.exit_codes import Refused
from experiments.explain.explained_run import SplitName, read_runs
from experiments.explain.importance_report import rows_of
from experiments.explain.permutation_importance import explain as explain_runs
from experiments.inference.predictor import Device
from lit_models.errors import ConfigError

Place = str | os.PathLike[str]


def explain(
    *runs: Place | Iterable[Place],
    split: SplitName = "val",
    repeats: int = 10,
    seed: int = 0,
    device: Device = "auto",
    trust: Sequence[str] = (),
) -> polars.DataFrame:
    """Computes how much worse trained runs get without each feature, as ``evenhand explain`` does; writes no file.

    Args:
        runs: Runs of the same data that ``fit`` has returned, or their folders or checkpoints.
        split: Rows to explain on: val, or test, which is a look at the test rows and is written into the ledger.
        repeats: Permutations of each feature, in each run.
        seed: Seed of the permutations, not negative.
        device: auto, cpu or cuda.
        trust: Packages of your own that have classes of the runs.

    Returns:
        A row for each feature, the most important first: its kind and name, the importance with the 95 % interval
        (null for few rows), and what it was computed on.

    Raises:
        ConfigError: For a path that is no run, runs of other data or features, and options out of range.
        DataError: If the data cannot be read, are other ones now, or have no rows in the split.
    """
    paths = [path for each in runs for path in ([each] if isinstance(each, str | os.PathLike) else each)]
    if not paths:
        raise ConfigError("there is nothing to explain; give runs, or their folders")
    if split not in ("val", "test"):
        raise ConfigError(f"split is {split!r}, and it is val or test")
    for name, value, least in (("repeats", repeats, 1), ("seed", seed, 0)):
        if value < least:
            raise ConfigError(f"{name} must be at least {least}, and it is {value}")
    packages = list(dict.fromkeys([*trust, *(name for path in paths if isinstance(path, Run) for name in path.trust)]))
    rows = list[dict[str, Any]]()

    def explain_them(*_: object) -> None:
        read = read_runs([os.fspath(path) for path in paths], split, device, packages)
        rows.extend(rows_of(explain_runs(read, repeats, seed), read, split))

    try:
        perform(["explain", *(word for name in packages for word in ("--trust", name))], explain_them)
    except Refused as refused:
        raise ConfigError("; ".join(line.removeprefix("error: ") for line in refused.lines)) from None
    return polars.DataFrame(rows, infer_schema_length=None)
