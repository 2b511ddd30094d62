"""``--run NAME`` given again, and ``--ckpt_path``: which checkpoint a fit goes on from, and whether it may."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace

from experiments.run.changes import Changes
from experiments.run.checkpoint_io import newest
from experiments.run.checkpoints import config_in
from experiments.run.directory import RunDirectory, root_of
from experiments.run.reading import config_files, config_of, read_record
from experiments.run.resume import inexact
from lit_models import ConfigError

LAST = "last"


@dataclass(frozen=True)
class Start:
    """Where a fit starts.

    Args:
        checkpoint: What it goes on from; None where it begins.
        changes: What differs from the configuration until now.
        again: Whether the run's directory is there already.
    """

    checkpoint: Path | None = None
    changes: Changes = field(default_factory=Changes)
    again: bool = False


def find_run(words: list[str]) -> RunDirectory | None:
    """The run that ``fit`` was told to go on with by ``--run NAME`` or ``--ckpt_path last``, where it is there.

    Raises:
        ConfigError: Where several fit what was typed, or ``last`` finds none.
    """
    run, last = typed(words, "run"), typed(words, "ckpt_path") == LAST
    if run is None and not last:
        return None
    root = root_of(typed(words, "trainer", "default_root_dir"))
    data = typed(words, "data")
    named = data.get("class_path") if isinstance(data, dict) else data
    experiment = typed(words, "experiment") or (str(named).rpartition(".")[2].lower() if named else None)
    # glob would take * and [ in a name for a pattern
    folders = [root / experiment] if experiment else sorted(root.iterdir()) if root.is_dir() else []
    runs = [path for folder in folders for path in (sorted(folder.iterdir()) if folder.is_dir() else [])]
    runs = [path for path in runs if (path / "record.json").is_file() and run in (None, path.name)]
    if last:
        runs = [path for path in runs if list((path / "checkpoints").glob("*.ckpt"))]
        if not runs:
            raise ConfigError(f"--ckpt_path last: no run with a checkpoint is in {root / (experiment or '')}")
        runs = [max(runs, key=lambda path: (path / "record.json").stat().st_mtime_ns)]
    if len(runs) > 1:
        found = ", ".join(path.parent.name for path in runs)
        raise ConfigError(f"--run {run} is in several experiments ({found}); add --experiment NAME")
    return RunDirectory(root, runs[0].parent.name, runs[0].name) if runs else None


def beneath(text: str, words: list[str]) -> str:
    """A configuration to go under the words: lists that they begin anew (``--trainer.callbacks+``) are left out."""
    config = yaml.safe_load(text)
    for word in words:
        *path, key = word.partition("=")[0].removeprefix("--").split(".")
        owner = _dig(config, tuple(path), None)
        if key.endswith("+") and isinstance(owner, dict):
            owner[key[:-1]] = None
    return yaml.safe_dump(config)


def keep_config(directory: RunDirectory, text: str, changed: bool) -> None:
    """Write the configuration; where another one is there, it stays, and this one stands beside it."""
    files = config_files(directory.path)
    if not files[0].exists():
        files[0].write_text(text)
    elif changed:
        (directory.path / f"config-{len(files) + 1}.yaml").write_text(text)


def decide(directory: RunDirectory, config: Namespace, text: str, allowed: list[str]) -> Start:
    """What a fit in this directory starts from.

    Args:
        directory: The run's.
        config: As parsed.
        text: The same, as it will be kept.
        allowed: What ``--allow_change`` named.

    Raises:
        ConfigError: For a run that is finished or in progress, or a change that nobody allowed.
    """
    again = (directory.path / "record.json").is_file()
    path = Path(config.ckpt_path) if config.ckpt_path not in (None, LAST) else None
    if again:
        _check_unfinished(directory, config)
        checkpoint = path or newest(directory.checkpoints, inexact)
        changes = Changes.between(config_of(directory.path), text, allowed)
    elif path is not None:
        checkpoint, changes = path, Changes.between(config_in(str(path), for_fit=True), text, allowed)
    else:
        return Start()
    changes.refuse_unsafe()
    return Start(checkpoint, changes, again)


def _check_unfinished(directory: RunDirectory, config: Namespace) -> None:
    record = read_record(directory.path)
    if record["status"] == "running":
        raise ConfigError(f"the run {directory.path} is in progress; wait for it, or choose another --run")
    if record["status"] != "finished":
        return
    epochs, limit = record.get("epochs", 0), config.trainer.max_epochs
    planned = yaml.safe_load(config_of(directory.path))["trainer"]["max_epochs"]
    stopped_early = planned is not None and planned > epochs
    if stopped_early or limit is None or 0 <= limit <= epochs:
        advice = "" if stopped_early else "extend it with a larger --trainer.max_epochs, or "
        raise ConfigError(
            f"the run {directory.path} is there already and finished, after {epochs} epochs"
            f"{f' of {planned}' if stopped_early else ''}; {advice}choose another --run"
        )


def typed(words: list[str], *keys: str) -> Any:
    """What the words, or the files that they name with ``-c``, set for a key; None where nobody did."""
    value: Any = None
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, equals, inline = word.partition("=")
        if name in ("-c", "--config"):
            value = _dig(_content(inline if equals else following), keys, value)
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, equals, inline = word.partition("=")
        if name in (f"--{'.'.join(keys)}", f"--{'.'.join(keys)}.class_path"):
            value = inline if equals else following
    return value


def _content(path: str) -> Any:
    try:
        return yaml.safe_load(Path(path).read_text())
    except (OSError, ValueError, yaml.YAMLError):  # the parser will say what is wrong with it
        return None


def _dig(content: Any, keys: tuple[str, ...], otherwise: Any) -> Any:
    for key in keys:
        if not isinstance(content, dict) or key not in content:
            return otherwise
        content = content[key]
    return content
