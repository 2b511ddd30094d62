"""Signature of an artefact, ``signature.json``: its inputs and output, and the hashes of its files."""

import hashlib
import json
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from datamodules.errors import DataError
from datamodules.regular_file import check_regular
from experiments.inference.base import Answering

FILE = "signature.json"
MOST_BYTES = 64 << 20
"""Size limit of the signature; a table of 100,000 columns and categories needs a tenth of it."""
MOST_FILES = 16
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
"""Name of a file beside the signature."""
PACKAGES = ("evenhand", "torch", "onnx", "onnxscript", "onnxruntime", "safetensors", "numpy", "polars", "tokenizers")


def describe(predictor: Answering) -> dict[str, Any]:
    """Describes the inputs and the output of a model in JSON values."""
    return {
        "task": predictor.task,
        "inputs": predictor.inputs.signature(),
        "output": _output(predictor.task),
        "classes": list(predictor.class_names),
        "targets": list(predictor.target_names),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def write(folder: Path, content: dict[str, Any]) -> None:
    """Writes the signature with the SHA-256 of all other files of the folder and of itself."""
    files = sorted(path.name for path in folder.iterdir() if path.name != FILE)
    content = {**content, "files": {name: sha256(folder / name) for name in files}}
    (folder / FILE).write_text(_text({**content, "digest": _digest(content)}), encoding="utf-8", newline="\n")


def read(folder: Path) -> dict[str, Any]:
    """Reads the signature of an artefact and checks the hashes of its files.

    Raises ``DataError`` for a folder that is no artefact, or one of which a byte was changed.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; name the one that evenhand export wrote")
    check_regular(folder / FILE)
    try:
        if (folder / FILE).stat().st_size > MOST_BYTES:
            raise DataError(f"{folder / FILE} has more than {MOST_BYTES >> 20} MiB; export the run again")
        raw = (folder / FILE).read_bytes()
    except OSError as error:
        raise DataError(f"{folder} has no {FILE} that can be read; name a folder that evenhand export wrote") from error
    try:
        content: dict[str, Any] = json.loads(raw)
        digest = content.pop("digest")
        # The text is checked too: another blank changes a byte, and not the JSON value.
        whole = digest == _digest(content) and raw == _text({**content, "digest": digest}).encode()
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise DataError(f"{folder / FILE} was changed and is none of ours any more; export the run again") from error
    if not whole:
        raise DataError(f"{folder / FILE} was changed after it was written; export the run again")
    _check_names(folder, content)
    for name, expected in content["files"].items():
        try:
            found = sha256(folder / name)
        except OSError as error:
            raise DataError(f"{folder} lacks {name}; export the run again") from error
        if found != expected:
            raise DataError(f"{folder / name} was changed after it was written; export the run again")
    return content


def _check_names(folder: Path, content: dict[str, Any]) -> None:
    """Raises ``DataError`` for a name that leaves the folder, a link, a pipe or a device, and for too many files."""
    files = content.get("files")
    if not isinstance(files, dict) or len(files) > MOST_FILES:
        raise DataError(f"{folder / FILE} names no files that an export writes; export the run again")
    for name in files:
        if not NAME.fullmatch(name):
            raise DataError(
                f"{folder / FILE} names {name[:80]!r}, which is no file of its folder; export the run again"
            )
        if (folder / name).is_symlink():
            raise DataError(f"{folder / name} is a link; copy the file that it points to in its place")
    for path in folder.iterdir():  # a file that is opened by its name, whether the signature has it or not
        check_regular(path)


def sha256(path: Path) -> str:
    """Computes the SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _output(task: str) -> dict[str, Any]:
    meaning, shape = {
        "binary": ("probability of the second class", ["batch"]),
        "multiclass": ("probability of each class", ["batch", "classes"]),
        "multilabel": ("probability of each label", ["batch", "labels"]),
        "regression": ("values in the units of the target's column", ["batch", "targets"]),
    }[task]
    return {"name": "prediction", "dtype": "float64", "shape": shape, "meaning": meaning}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
