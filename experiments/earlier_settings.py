"""Settings that runs of an earlier version do not have, with the values that those runs had in effect."""

from typing import Any

EARLIER: dict[str, Any] = {"data.missing_columns": False}
"""Values that differ from today's default, by the name of the setting."""


def is_whole(config: Any) -> bool:
    """Returns True for a configuration that a run wrote, which has every setting of its version."""
    trainer = config.get("trainer") if isinstance(config, dict) else None
    return isinstance(trainer, dict) and {"barebones", "num_nodes", "callbacks"} <= trainer.keys()


def completed(config: Any) -> Any:
    """Returns the configuration of a run with the settings that it lacks, as they were in effect."""
    data = config.get("data") if isinstance(config, dict) else None
    options = data.get("init_args") if isinstance(data, dict) else None
    # Tables of every version have types of columns, and no other data have them.
    if not isinstance(data, dict) or not isinstance(options, dict) or "types" not in options:
        return config
    of_data = {name.removeprefix("data."): value for name, value in EARLIER.items()}
    return {**config, "data": {**data, "init_args": {**of_data, **options}}}
