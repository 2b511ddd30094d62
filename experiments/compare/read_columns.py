"""Reads the columns of a run's test rows again, from the data that it was trained on. Imports torch."""

from collections.abc import Sequence

import numpy
import polars
import torch
from numpy.typing import NDArray

from experiments import import_allowlist
from experiments.cli.entry_point import quieten, user_error
from experiments.cli.fit_parser import load_data
from experiments.compare.load_runs import Run
from experiments.run.record.record_io import config_file
from lit_models.errors import ConfigError


def read_columns(runs: Sequence[Run], row: NDArray[numpy.int64], packages: Sequence[str] = ()) -> polars.DataFrame:
    """Returns all columns of test rows (N,), by their ids, of runs of the same data.

    Raises:
        ConfigError: If the data cannot be read any more or are other ones now, or if no run has a configuration.
    """
    run = next((run for run in runs if config_file(run.path).is_file()), None)
    if run is None:
        raise ConfigError(
            f"--by reads the data again, and {runs[0].name} has no configuration to read them with; add a run of fit, "
            "or take --by target"
        )
    quieten()
    try:
        import_allowlist.allow([*packages])
        data = load_data(["compare", "-c", str(config_file(run.path))])[1]
        data.part_rows()  # splits the rows
        if data.fingerprints()["data"] != run.fingerprints[0]:
            raise ConfigError("they are other ones now than the run was trained on")
        return data.columns_at(torch.from_numpy(row))
    except Exception as error:  # of a constructor, the parser, or a class of the user
        cause = user_error(error)
        if cause is None:
            raise
        raise ConfigError(
            f"--by reads the data of {run.name} again, and cannot: {str(cause).rstrip('.')}; --by target needs none"
        ) from error
