"""Signature of an artefact, ``signature.json``: its inputs and output, and the hashes of its files."""

import hashlib
import json
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from datamodules.errors import DataError
from datamodules.regular_file import check_regular
from experiments.export.signature_schema import signature_fault
from experiments.inference.base import Answering

FILE = "signature.json"
MOST_BYTES = 64 << 20
"""Size limit of the signature; a table of 100,000 columns and categories needs a tenth of it."""
MOST_FILES = 16
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
"""Name of a file beside the signature."""
PACKAGES = ("evenhand", "torch", "onnx", "onnxscript", "onnxruntime", "safetensors", "numpy", "polars", "tokenizers")
OUTPUTS = {
    "binary": ("probability of the second class", ["batch"]),
    "multiclass": ("probability of each class", ["batch", "classes"]),
    "multilabel": ("probability of each label", ["batch", "labels"]),
    "regression": ("values in the units of the target's column", ["batch", "targets"]),
}
"""Meaning and shape of the output by task."""


def describe(predictor: Answering) -> dict[str, Any]:
    """Describes the inputs and the output of a model in JSON values."""
    meaning, shape = OUTPUTS[predictor.task]
    decisions = predictor.rule.plain()
    return {
        "task": predictor.task,
        "inputs": predictor.inputs.signature(),
        "output": {"name": "prediction", "dtype": "float64", "shape": shape, "meaning": meaning},
        "classes": list(predictor.class_names),
        "targets": list(predictor.target_names),
        **({"decisions": decisions} if decisions else {}),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def write(folder: Path, content: dict[str, Any]) -> None:
    """Writes the signature with the SHA-256 of all other files of the folder and of itself."""
    files = sorted(path.name for path in folder.iterdir() if path.name != FILE)
    content = {**content, "files": {name: sha256(folder / name) for name in files}}
    (folder / FILE).write_text(_text({**content, "digest": _digest(content)}), encoding="utf-8", newline="\n")


def read(folder: Path) -> dict[str, Any]:
    """Reads the signature of an artefact, and checks its values and the hashes of its files.

    Raises ``DataError`` for a folder that is no artefact, or one of which a byte was changed.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; name the one that evenhand export wrote")
    file = folder / FILE
    check_regular(file)
    try:
        if file.stat().st_size > MOST_BYTES:
            raise DataError(f"{file} has more than {MOST_BYTES >> 20} MiB; export the run again")
        raw = file.read_bytes()
    except OSError as error:
        raise DataError(f"{folder} has no {FILE} that can be read; name a folder that evenhand export wrote") from error
    try:
        content: dict[str, Any] = json.loads(raw)
        digest = content.pop("digest")
        # The text is checked too: another blank changes a byte, and not the JSON value.
        whole = digest == _digest(content) and raw == _text({**content, "digest": digest}).encode()
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise DataError(f"{file} was changed and is none of ours any more; export the run again") from error
    if not whole:
        raise DataError(f"{file} was changed after it was written; export the run again")
    if fault := signature_fault(content) or _contradiction(content):
        raise DataError(f"{file}: {fault}, which evenhand export does not write; export the run again")
    _check_files(folder, content["files"])
    return content


def _contradiction(content: dict[str, Any]) -> str | None:
    """Returns which values of a signature contradict each other, or None."""
    task, raw, output = content["task"], content["raw"], content["output"]
    names, sizes = content["targets" if task == "regression" else "classes"], output["sizes"]
    described = {**output, "name": "prediction", "dtype": "float64", "shape": OUTPUTS[task][1]}
    if output != described or len(sizes) != (0 if task == "binary" else 1):
        return f"the output is none of a {task} task"
    if [len(names)] not in ([0], sizes or [2]) or len(set(names)) < len(names):
        return f"there are {len(names)} names for outputs of the sizes {sizes}"
    if fault := _unsound_decision(content.get("decisions", {}), task, sizes or [2]):
        return fault
    scale = content["checked"]["scale"]
    if [len(scale)] not in ([1], sizes) or min(scale) <= 0:
        return "checked.scale has no positive number for each output"
    if raw["inputs"]["kind"] == "table":
        columns, encoding = raw["inputs"]["columns"], raw["encoding"]
        categorical = [name for name, (kind, _) in columns.items() if kind == "categorical"]
        numbers = [name for name, (kind, _) in columns.items() if kind != "categorical"]
        if encoding["medians"] != numbers or [*encoding["categories"]] != categorical:
            return "raw.encoding has other columns than raw.inputs"
        missing = {*encoding.get("sometimes_missing", ())}
        if encoding.get("sometimes_missing", []) != [name for name in numbers if name in missing]:
            return "raw.encoding.sometimes_missing are no columns of numbers in their order"
    return None


def _unsound_decision(decisions: dict[str, Any], task: str, sizes: list[int]) -> str | None:
    """Returns which decision no fit gives for a task with outputs of these sizes, or None."""
    is_regression, margins = task == "regression", decisions.get("margins")
    bounds = {"least_probability", "margins"} & decisions.keys()
    expected = {"margins" if is_regression else "least_probability"} if "coverage" in decisions else set()
    if bounds != expected or (is_regression and "temperature" in decisions):
        return f"decisions are none of a {task} task"
    if "threshold" in decisions and task != "binary":
        return "decisions.threshold is for two classes"
    ranges = {"temperature": (0.05, 20), "threshold": (0, 1), "coverage": (0, 1), "least_probability": (0, 1)}
    for name, (low, high) in ranges.items():
        if not low <= decisions.get(name, low) <= high:
            return f"decisions.{name} is {decisions[name]}"
    if margins is not None and ([len(margins)] != sizes or min(margins) < 0):
        return "decisions.margins are no widths of each target"
    return None


def _check_files(folder: Path, files: dict[str, str]) -> None:
    """Raises ``DataError`` for a file that is missing, changed, not named, outside of the folder or no regular file."""
    if len(files) > MOST_FILES:
        raise DataError(f"{folder / FILE} names no files that an export writes; export the run again")
    for name in files:
        if not NAME.fullmatch(name):
            raise DataError(
                f"{folder / FILE} names {name[:80]!r}, which is no file of its folder; export the run again"
            )
        if (folder / name).is_symlink():
            raise DataError(f"{folder / name} is a link; copy the file that it points to in its place")
    for path in folder.iterdir():
        check_regular(path)
        if path.name not in (FILE, *files) and not path.name.startswith("."):
            raise DataError(f"{folder / FILE} does not name {path.name}, which is beside it; move it to another folder")
    for name, expected in files.items():
        try:
            found = sha256(folder / name)
        except OSError as error:
            raise DataError(f"{folder} lacks {name}; export the run again") from error
        if found != expected:
            raise DataError(f"{folder / name} was changed after it was written; export the run again")


def sha256(path: Path) -> str:
    """Computes the SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
