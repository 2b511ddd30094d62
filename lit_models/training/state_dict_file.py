"""Reads the state dict of a file, which is data alone: no code of the file runs."""

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lit_models.errors import ConfigError

INSIDE = ("checkpoints/best.ckpt", "model.safetensors")
"""Files of a folder, the first that exists is read: the best checkpoint of a run, the weights of an export."""

NESTED = ("state_dict", "model_state_dict", "model_state", "model", "module", "network", "net", "weights")
"""Keys below which training programs save a state dict, beside the optimizer's and others."""


class StateDictFile(NamedTuple):
    """State dict with the file that it was read from."""

    path: Path
    sha256: str
    state: dict[str, Tensor]


def read_state_dict(name: str) -> StateDictFile:
    """Reads a file of safetensors or ``torch.save``, or the file of a folder that ``INSIDE`` lists.

    Raises ``ConfigError`` for a file that is missing, damaged, holds other objects than plain data, or no state dict.
    """
    path = _file(Path(name))
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        content = load_file(path) if path.suffix == ".safetensors" else _load(path)
    except Exception as error:  # zipfile, torch.load and the pickle inside raise errors of all kinds
        raise ConfigError(f"--model.weights {path} cannot be read: {_reason(error)}") from error
    return StateDictFile(path, sha256, _state_dict(content, path))


def _file(path: Path) -> Path:
    if path.is_dir():
        found = [path / name for name in INSIDE if (path / name).is_file()]
        if not found:
            raise ConfigError(
                f"--model.weights {path} is a folder without {' and without '.join(INSIDE)}; name the file inside it"
            )
        return found[0]
    if not path.is_file():
        reason = "is no regular file" if path.exists() else "does not exist"
        raise ConfigError(f"--model.weights {path} {reason}; name a file of weights, or the folder of a run")
    return path


def _load(path: Path) -> Any:
    if zipfile.is_zipfile(path):  # torch.load ignores the checksums; files before torch 1.6 are no archives
        with zipfile.ZipFile(path) as archive:
            packed = [entry for entry in archive.infolist() if entry.compress_size != entry.file_size]
            bad = packed[0].filename if packed else archive.testzip()
        if bad is not None:
            raise zipfile.BadZipFile(f"its member {bad[:80]!r} is damaged")
    return torch.load(path, weights_only=True, map_location="cpu")


def _reason(error: Exception) -> str:
    if isinstance(error, UnpicklingError):
        damaged = "" if "unsupported global" in str(error).lower() else "is damaged, or "
        return (
            f"it {damaged}holds more than tensors and plain data, and nothing in it was run; save a state_dict() alone"
        )
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = (str(error) or type(error).__name__).splitlines()[0][:120]
    is_format = isinstance(error, SafetensorError | zipfile.BadZipFile)
    return f"it is damaged ({text})" if is_format else f"it is damaged, or no file of torch.save ({text})"


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    """Returns the tensors of a content by name; those below a key of ``NESTED`` before those beside it."""
    keys = ""
    for _ in range(3):
        inner = next((key for key in NESTED if isinstance(content, Mapping) and _is_mapping(content.get(key))), None)
        if inner is None:
            break
        content, keys = content[inner], f"{keys}{inner}."
    tensors = {
        name: value
        for name, value in (content.items() if isinstance(content, Mapping) else ())
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    if not tensors:
        has = ", ".join(f"{keys}{key}" for key in [*content][:5]) if isinstance(content, Mapping) else ""
        raise ConfigError(
            f"--model.weights {path} holds no state dict, which is a dictionary of tensors by name: it holds "
            f"{has or type(content).__name__}; save model.state_dict()"
        )
    return tensors


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and len(value) > 0
