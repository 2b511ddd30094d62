"""Atomic checkpoint files; Lightning copies from ``$TMPDIR``, and a kill leaves half a file (PL#21253)."""

import io
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from typing_extensions import override

from experiments.checked_zip import check
from experiments.exit_codes import SaveError
from experiments.run.atomic_write import write_atomically
from experiments.terminal import say
from lit_models import ConfigError

CONFIG = "evenhand_config"
"""Key of the run's configuration, YAML text, in its checkpoints."""

HYPERPARAMETERS = ("hyper_parameters", "datamodule_hyper_parameters")


class SafeCheckpointIO(CheckpointIO):
    """Writes a temporary file, flushes it to the disk, reads it back and renames it. Reads plain data only.

    ``amend`` changes a loaded checkpoint in place before anything is restored from it; ``config`` is the run's
    configuration, YAML text, for every checkpoint.
    """

    def __init__(self, amend: Callable[[dict[str, Any]], None] | None = None, config: str = "") -> None:
        self.amend = amend
        self.config = config

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Replaces ``path``; raises SaveError if it cannot be written, as on a full disk, and leaves it unchanged."""
        for key in HYPERPARAMETERS:
            check_plain(checkpoint.get(key, {}), key)
        checkpoint.setdefault(CONFIG, self.config)  # Lightning calls no callback for weights alone
        target, buffer = Path(path), io.BytesIO()
        torch.save(checkpoint, buffer)  # into a file it turns a full disk into a RuntimeError without a reason
        try:
            write_atomically(target, buffer.getbuffer(), check=read)
        except (OSError, ConfigError) as error:
            reason = getattr(error, "strerror", None) or error
            kept = "the checkpoint before it is whole" if target.exists() else "there was none before it"
            raise SaveError(
                f"{target} cannot be written ({reason}), and {kept}; make room or a writable folder, then run again"
            ) from error

    @override
    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        checkpoint = read(Path(path))
        if self.amend is not None:
            self.amend(checkpoint)
        return checkpoint

    @override
    def remove_checkpoint(self, path: str | Path) -> None:
        with suppress(OSError):
            Path(path).unlink(missing_ok=True)


def read(path: Path) -> dict[str, Any]:
    """Reads plain data and tensors on the CPU, never an object that could run code, and checks every byte.

    Raises ConfigError for a file that is missing, damaged, or has anything else.
    """
    try:
        check(path)  # torch.load itself ignores the checksums
        checkpoint = torch.load(path, weights_only=True, map_location="cpu")
    except FileNotFoundError as error:
        raise ConfigError(f"there is no checkpoint {path}") from error
    except IsADirectoryError as error:
        raise ConfigError(f"{path} is a folder; name the checkpoint inside it") from error
    except Exception as error:  # zipfile, torch.load and the pickle inside raise errors of all kinds
        raise ConfigError(f"{path} is no checkpoint that can be read here: {_reason(error)}") from error
    if not isinstance(checkpoint, dict):
        raise ConfigError(f"{path} is no checkpoint that can be read here: it holds no dictionary")
    return checkpoint


def newest(
    folder: Path,
    refuse: Callable[[dict[str, Any]], str | None] = lambda _: None,
    avoid: Callable[[dict[str, Any]], bool] = lambda _: False,
) -> tuple[Path | None, dict[str, Any]]:
    """Returns the newest usable checkpoint and its content, or None and nothing; prints why newer ones are not.

    ``refuse`` returns why a readable checkpoint is not usable, or None if it is; one to ``avoid`` is usable if there is
    no other.
    """
    avoided: tuple[Path | None, dict[str, Any]] = None, {}
    for path in sorted(folder.glob("*.ckpt"), key=_age, reverse=True):
        try:
            content = read(path)
            reason = (refusal := refuse(content)) and f"{path} {refusal}"
        except ConfigError as error:
            reason = str(error)
        if reason is not None:
            say(f"{reason}; looking for an older one", sys.stderr)
        elif not avoid(content):
            return path, content
        elif avoided[0] is None:
            avoided = path, content
    return avoided


def _age(path: Path) -> tuple[int, bool, int]:
    """Orders checkpoints by time: a copy may keep whole seconds alone, and then ``last.ckpt`` is the newest."""
    time = path.stat().st_mtime_ns
    return time // 10**9, path.stem.startswith("last"), time


def check_plain(value: Any, where: str) -> None:
    """Raises TypeError unless a value consists of dictionaries, lists, numbers and text; others need code to load."""
    if isinstance(value, dict):
        for key, item in value.items():
            check_plain(key, where)
            check_plain(item, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for item in value:
            check_plain(item, where)
    elif not (value is None or isinstance(value, str | int | float | bool)):
        raise TypeError(f"{where} is a {type(value).__name__}, and a checkpoint's hyper-parameters are plain values")


def _reason(error: Exception) -> str:
    if "Unsupported global" in str(error) or "UnpicklingError" in type(error).__name__:
        return "it asks for more than plain data, and nothing in it was run"
    return (str(error) or type(error).__name__).splitlines()[0][:120]
