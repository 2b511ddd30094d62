"""Files of published tables: a recipe and a published figure for each row. Needs no torch."""

import difflib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from experiments import safe_yaml
from experiments.run.record.hyperparameters import Setting, flat_settings
from lit_models.errors import ConfigError

TABLE_KEYS = ("source", "metric", "protocol", "rows")
ROW_KEYS = ("config", "set", "published")


@dataclass(frozen=True)
class Row:
    """One row of a published table."""

    name: str  # prefix of its runs' names
    config: Path  # the recipe, a configuration of fit
    changes: dict[str, Any]  # options in which the row differs from the recipe
    published: float | None

    @property
    def words(self) -> list[str]:
        """Arguments of ``fit`` for the row."""
        changes = {key: value if isinstance(value, str) else json.dumps(value) for key, value in self.changes.items()}
        return [f"--config={self.config}", *(f"--{key}={value}" for key, value in changes.items())]

    @property
    def settings(self) -> dict[str, Setting]:
        """Options of the recipe and the changes, by their names in a run's record."""
        changes = {
            "max_epochs" if key == "trainer.max_epochs" else key: str(value) if isinstance(value, list) else value
            for key, value in self.changes.items()
        }
        return flat_settings(_read(self.config)) | changes


@dataclass(frozen=True)
class Paper:
    """A published table."""

    path: Path
    source: str  # publication of the figures
    metric: str  # of the figures, such as accuracy
    protocol: tuple[str, ...]  # sentences on the differences between our runs and the published ones
    rows: tuple[Row, ...]

    @property
    def experiment(self) -> str:
        """Folder of its runs in ``runs/``."""
        return f"paper-{self.path.stem}"

    def only(self, names: Sequence[str]) -> "Paper":
        """Returns the table with the rows of these names only; with all rows for no names.

        Raises:
            ConfigError: For a name that no row has.
        """
        existing = [row.name for row in self.rows]
        for name in names:
            if name not in existing:
                near = difflib.get_close_matches(name, existing, n=3) or existing[:5]
                raise ConfigError(f"--rows {name}: {self.path} has no such row; there are {', '.join(near)}")
        return replace(self, rows=tuple(row for row in self.rows if row.name in names or not names))


def read_paper(path: Path) -> Paper:
    """Reads a file of a published table.

    Raises:
        ConfigError: For a file that cannot be read, or has missing, unknown or malformed keys.
    """
    content = _read(path)
    _check_keys(str(path), content, TABLE_KEYS, ("source", "metric", "rows"))
    if not isinstance(content["rows"], dict) or not content["rows"]:
        raise ConfigError(f"{path}: rows is no mapping of names to rows; see experiments/configs/papers")
    rows = []
    for name, row in content["rows"].items():
        where = f"{path}, row {name}"
        _check_keys(where, row, ROW_KEYS, ("config",))
        config = Path(os.path.normpath(path.parent / str(row["config"])))
        if not config.is_file():
            raise ConfigError(f"{where}: there is no file {config}; config is a path beside the table's file")
        published = row.get("published")
        if published is not None and (isinstance(published, bool) or not isinstance(published, int | float)):
            raise ConfigError(f"{where}: published is {published!r}; it is a number")
        rows.append(Row(str(name), config, row.get("set") or {}, published))
    protocol = tuple(str(sentence) for sentence in content.get("protocol") or ())
    return Paper(path, str(content["source"]), str(content["metric"]), protocol, tuple(rows))


def _read(path: Path) -> dict[str, Any]:
    try:
        content = safe_yaml.load(safe_yaml.read_text(path))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); name a file of a published table") from error
    except yaml.YAMLError as error:
        is_unsafe = isinstance(error, safe_yaml.UnsafeYaml)
        reason = f": {error}; write it plainly" if is_unsafe else " is no YAML; name a file of a published table"
        raise ConfigError(f"{path}{reason}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} is no mapping; see experiments/configs/papers for tables")
    return content


def _check_keys(where: str, content: object, allowed: Sequence[str], required: Sequence[str]) -> None:
    if not isinstance(content, dict):
        raise ConfigError(f"{where} is no mapping; it has {', '.join(allowed)}")
    for key in content:
        if key not in allowed:
            raise ConfigError(f"{where} has {key!r}, which means nothing; it has {', '.join(allowed)}")
    for key in required:
        if key not in content:
            raise ConfigError(f"{where} lacks {key}; it has {', '.join(allowed)}")
