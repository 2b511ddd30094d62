"""Small runs of every modality and architecture, their data deleted, for tests of what is exported of them."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import polars
from digit_images import digits, write_npz
from opinion_texts import opinions
from people_table import people
from wave_series import waves

from experiments.__main__ import main

SMALL = {
    "LitLinear": (),
    "LitMLP": ("--model.hidden", "[8]"),
    "LitTabM": ("--model.members", "3", "--model.hidden", "[8]"),
    "LitCNN": ("--model.channels", "[8,8]", "--model.kernel_size", "3"),
    "LitRNN": ("--model.hidden", "8"),
    "LitTransformer": ("--model.width", "8", "--model.heads", "2", "--model.num_layers", "1"),
}
FORMATS = ("onnx", "torch-export", "safetensors", "state-dict")


@dataclass
class Finished:
    """A run that was moved, the data deleted; a frame or arrays like its test rows, and its predictions of them."""

    path: Path
    rows: Any
    recorded: polars.DataFrame
    record: dict[str, Any]


def finished(home: Path, modality: str, model: str, *words: str) -> Finished:
    """Train, delete the data, move the run."""
    home.mkdir(parents=True)
    data, source = _write(home, modality)
    settings = ["--model", model, *SMALL.get(model, ()), "--trainer.max_epochs", "1", "--seed_everything", "0"]
    places = ["--trainer.default_root_dir", str(home), "--run", "a", "--experiment", "b", "--figures", "false"]
    assert main(["fit", "--trust", "tiny_package", *data, *settings, *words, *places]) == 0
    moved = home / "moved"
    shutil.move(home / "runs" / "b" / "a", moved)
    for name in ("config.yaml", "split.parquet", "inspection.json"):
        (moved / name).unlink()
    recorded = polars.read_parquet(moved / "predictions.parquet")
    for file in home.glob("data.*"):
        file.unlink()
    return Finished(
        moved, _take(source, recorded["row"].to_list()), recorded, json.loads((moved / "record.json").read_text())
    )


def numbers(frame: polars.DataFrame) -> Any:
    """The probabilities or values among predictions (N, ...)."""
    names = [name for name in frame.columns if name.startswith("probability")] or ["prediction"]
    return frame.select(names).to_numpy()


def words(run: Path, output: Path, format: str = "safetensors") -> list[str]:
    """Arguments of ``evenhand export``."""
    return ["--ckpt_path", str(run), "--format", format, "--output", str(output)]


def _write(home: Path, modality: str) -> tuple[list[str], Any]:
    path = home / "data.csv"
    if modality == "table":
        frame = people(100).drop("id")
        frame.write_csv(path)
        return ["--data", "TableData", "--data.path", str(path), "--data.target", "label"], frame
    if modality == "text":
        frame = opinions(80)
        frame.write_csv(path)
        words = ["--data.path", str(path), "--data.text", "text", "--data.target", "label"]
        return ["--data", "TextData", *words], frame
    if modality == "series":
        arrays = waves()
        arrays["x"][3, 0, 4] = arrays["x"][5, 1] = arrays["x"][10:20, 1, :3] = numpy.nan
        numpy.savez(home / "data.npz", **arrays)
        as_list = [x[:, :length] for x, length in zip(arrays["x"], arrays["lengths"], strict=True)]
        return ["--data", "SeriesData", "--data.path", str(home / "data.npz")], as_list
    x, y = digits(100)
    return ["--data", "ImageData", "--data.path", write_npz(home / "data.npz", x, y)], x


def _take(source: Any, rows: list[int]) -> Any:
    return [source[row] for row in rows] if isinstance(source, list) else source[rows]
