"""``signature.json``: what goes in, what comes out, and what the files of an artefact are."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.imaging.inputs import ImageInputs
from datamodules.preprocessing.inputs import ArrayInputs, Inputs
from datamodules.preprocessing.restore_inputs import restore_inputs
from datamodules.regular_file import check_regular
from datamodules.sequences.inputs import SeriesInputs
from datamodules.tables.inputs import TableInputs
from datamodules.texts.inputs import TextInputs
from experiments.inference.base import Answering

Graph = Callable[[dict[str, Tensor]], Tensor]
"""Raw rows in, what the task predicts out, (N, ...) float64."""


FILES = {
    "onnx": "model.onnx",
    "torch-export": "model.pt2",
    "safetensors": "model.safetensors",
    "state-dict": "model.pt",
}


LEARNED = "preparation.safetensors"
"""Beside weights alone: what was learned of the train rows' numbers."""


FILE = "signature.json"
MOST_BYTES = 64 << 20
"""Of the signature; a table of 100,000 columns and categories has a tenth of it."""
MOST_FILES = 16
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
"""A file beside the signature."""
VOCABULARY = "tokenizer.json"
PACKAGES = ("evenhand", "torch", "onnx", "onnxscript", "onnxruntime", "safetensors", "numpy", "polars", "tokenizers")


def describe(predictor: Answering) -> dict[str, Any]:
    """What a model is given and what it answers, as plain values.

    Args:
        predictor: Of a run, or an artefact.
    """
    task, classes = predictor.task, list(predictor.class_names)
    return {
        "task": task,
        "inputs": _inputs(predictor.inputs),
        "output": _output(task),
        "classes": classes,
        "targets": list(predictor.target_names),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def state_of(inputs: Inputs) -> dict[str, Any]:
    """What ``inputs_of`` makes inputs of again, but for a vocabulary, as values that JSON has."""
    state: dict[str, Any] = {"inputs": inputs.state_dict()}
    if isinstance(inputs, TableInputs):
        state["encoding"] = {"medians": list(inputs.encoding.medians), "categories": inputs.encoding.categories}
    if isinstance(inputs, SeriesInputs):
        state["steps"] = inputs.steps
    if isinstance(inputs, TextInputs):
        state["input_shape"] = [inputs.steps]
    return state


def learned(inputs: Inputs) -> dict[str, Tensor]:
    """What else ``inputs_of`` needs for inputs that fill and normalize: what was learned of the train rows' numbers."""
    if isinstance(inputs, TextInputs):
        return {}
    assert isinstance(inputs, TableInputs | SeriesInputs | ImageInputs | ArrayInputs)
    found = {f"statistics.{name}": value for name, value in inputs.normalizer._asdict().items()}
    if isinstance(inputs, TableInputs):
        found["medians"] = torch.tensor(list(inputs.encoding.medians.values()), dtype=torch.float64)
    if isinstance(inputs, SeriesInputs):
        found["fill"] = inputs.fill
    return found


def inputs_of(state: dict[str, Any], vocabulary: str | None, numbers: dict[str, Tensor] | None = None) -> Inputs:
    """Inputs again.

    Args:
        state: ``state_of`` them.
        vocabulary: JSON text of a text's tokens.
        numbers: What was ``learned``; where it is left out, tensors are what a graph takes, see ``Inputs.unprepared``.
    """
    known = numbers or {}
    statistics = {name[11:]: value for name, value in known.items() if name.startswith("statistics.")}
    whole = {**state, "statistics": statistics, "vocabulary": vocabulary}
    if "encoding" in state:
        names = state["encoding"]["medians"]
        medians = known.get("medians", torch.full((len(names),), torch.nan)).tolist()
        whole["encoding"] = {**state["encoding"], "medians": dict(zip(names, medians, strict=True))}
    if "steps" in state:
        nothing = torch.full((len(state["inputs"]["channels"]),), torch.nan, dtype=torch.float64)
        whole["fill"] = known.get("fill", nothing)
    return restore_inputs(whole)


def write(folder: Path, content: dict[str, Any], files: Iterable[str]) -> None:
    """Write the signature, with the SHA-256 of the other files and of itself."""
    content = {**content, "files": {name: sha256(folder / name) for name in sorted(files)}}
    (folder / FILE).write_text(_text({**content, "digest": _digest(content)}), encoding="utf-8", newline="\n")


def read(folder: Path) -> dict[str, Any]:
    """The signature of an artefact, all of whose files are as they were written.

    Raises:
        DataError: For a folder that is no artefact, or one of which a byte was changed.
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
        content = json.loads(raw)
        digest = content.pop("digest")
        # The text is checked too: what JSON reads alike, such as another blank, is no byte of ours.
        whole = digest == _digest(content) and raw == _text({**content, "digest": digest}).encode()
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise DataError(f"{folder / FILE} was changed and is none of ours any more; export the run again") from error
    if not whole:
        raise DataError(f"{folder / FILE} was changed after it was written; export the run again")
    _check_names(folder, content)
    for name, expected in content["files"].items():
        try:
            there = sha256(folder / name)
        except OSError as error:
            raise DataError(f"{folder} lacks {name}; export the run again") from error
        if there != expected:
            raise DataError(f"{folder / name} was changed after it was written; export the run again")
    signature: dict[str, Any] = content
    return signature


def _check_names(folder: Path, content: dict[str, Any]) -> None:
    """Refuse a signature of other files than those that stand in its folder and that an export writes.

    Raises:
        DataError: For a name that leaves the folder, a link, a pipe or a device, and for too many files.
    """
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
    """Of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _inputs(inputs: Inputs) -> list[dict[str, Any]]:
    """Each tensor's name, type and shape, and what is in it."""
    lengths = {"name": "lengths", "dtype": "int64", "shape": ["batch"], "meaning": "steps of each row, at least 1"}
    match inputs:
        case TableInputs():
            names = list(inputs.encoding.medians)
            dates = [name for name in names if inputs.kinds[name][0] == "date"]
            numbers = {**_tensor("x", "float64", len(names)), "features": names, "missing": "NaN"}
            if dates:
                numbers["units"] = dict.fromkeys(dates, "days since 1970-01-01")
            known = inputs.encoding.categories
            indices = {**_tensor("categories", "int64", len(known)), "features": list(known)}
            indices["meaning"] = (
                "0 a category that no train row has, 1 missing, from 2 on the categories in their order"
            )
            return [numbers, {**indices, "categories": known}] if known else [numbers]
        case SeriesInputs():
            x = {**_tensor("x", "float64", len(inputs.channels), "time"), "features": list(inputs.channels)}
            return [{**x, "missing": "NaN", "most_steps": inputs.steps}, lengths]
        case ImageInputs():
            pixels = _tensor("x", "uint8", inputs.channels, *inputs.size)
            return [{**pixels, "features": ["grey"] if inputs.channels == 1 else ["red", "green", "blue"]}]
        case TextInputs():
            ids = {**_tensor("x", "int64", "time"), "meaning": f"ids of {VOCABULARY}, 0 behind a text's end"}
            return [{**ids, "most_steps": inputs.steps}, lengths]
        case ArrayInputs():
            return [_tensor("x", "float64", *inputs.shape)]
    raise DataError(f"{type(inputs).__name__} is no kind of inputs that a signature can describe")


def _tensor(name: str, dtype: str, *shape: int | str) -> dict[str, Any]:
    return {"name": name, "dtype": dtype, "shape": ["batch", *shape]}


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
