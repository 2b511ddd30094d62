"""Compares the data of a run with those of the run that its weights are from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.run.record.record_io import read_record
from lit_models.errors import ConfigError


def origin_notes(weights: Mapping[str, Any], fingerprints: Mapping[str, str]) -> list[str]:
    """Returns a warning if weights were trained on these data with another split, which may leak test rows.

    ``weights`` are the values of ``LoadedWeights``; only a file in the folder of a run says what it was trained on.
    """
    run = Path(weights["file"]).parent.parent
    try:
        before = read_record(run).get("fingerprints")
    except (OSError, ConfigError):
        return []
    if not isinstance(before, dict) or before.get("data") != fingerprints["data"]:
        return []
    if before.get("split") == fingerprints["split"]:
        return []
    return [
        f"leak: the weights of {run} were trained on the same data with another split, so that rows of this test may "
        "be among its train rows; give both runs the same --data.split_seed and --data.ratios"
    ]
