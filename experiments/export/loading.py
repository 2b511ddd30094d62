"""``load_export(DIR).predict(rows)``: an exported run, which for ONNX and torch-export needs no training code."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.evaluated import rows_at_once
from datamodules.facts import Modality
from datamodules.inputs import Chunk, Inputs
from datamodules.tensor_loader import TensorLoader
from experiments.answering import Answering
from experiments.export import archive, signature
from experiments.export.onnx_file import OnnxGraph

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


class Exported(Answering):
    """An artefact.

    Args:
        about: Its signature.
        inputs: What turns raw rows into what the graph takes.
        graph: What computes.
    """

    def __init__(self, about: dict[str, Any], inputs: Inputs, graph: Graph) -> None:
        super().__init__(about["task"], inputs, tuple(about["classes"]), tuple(about["targets"]))
        self.signature = about
        self.graph = graph
        self.specs = {one["name"]: one for one in about["inputs"]}

    def compute(self, chunk: Chunk) -> Tensor:
        """What the task predicts of the rows that can be predicted (N, ...), float64."""
        if not len(chunk.ids):
            return torch.empty(0, *self.signature["output"]["sizes"], dtype=torch.float64)
        raw, x = chunk.tensors, chunk.tensors["x"]
        if "lengths" in self.specs and "lengths" not in raw:
            raw = {**raw, "lengths": torch.full((len(x),), x.shape[-1])}
        elif "lengths" not in self.specs and "lengths" in raw:
            raise DataError(
                f"the network takes series of {self.specs['x']['shape'][-1]} steps alone, and some have less"
            )
        modality: Modality = "text" if x.dtype == torch.int64 else "series" if x.dim() == 3 else "table"  # or images
        batches = TensorLoader(raw, rows_at_once(x.shape[1:], modality, x.device))
        return torch.cat([self.run(batch) for batch in batches])

    @torch.inference_mode()
    def run(self, raw: dict[str, Tensor]) -> Tensor:
        """One batch of the tensors that the signature describes -> what the task predicts (N, ...), float64.

        Rows of a graph with a fixed number of steps are padded to it.
        """
        x, spec = raw["x"], self.specs["x"]
        steps = spec["shape"][-1]
        if "lengths" in self.specs and isinstance(steps, int):
            x = torch.nn.functional.pad(x, (0, steps - x.shape[-1]))
        x = x.to(getattr(torch, spec["dtype"])).contiguous()
        return self.graph({**raw, "x": x})


def load_export(path: str | Path, packages: list[str] | None = None) -> Exported:
    """An artefact that ``evenhand export`` wrote.

    Args:
        path: Its folder.
        packages: Packages of one's own that weights alone name a class of, and that are to be trusted.

    Raises:
        DataError: For a folder that is none, or of which a byte was changed after it was written.
    """
    folder = Path(path)
    about = signature.read(folder)
    vocabulary = folder / signature.VOCABULARY
    text = vocabulary.read_text(encoding="utf-8") if signature.VOCABULARY in about["files"] else None
    inputs = signature.inputs_of(about["raw"], text)
    return Exported(about, inputs, _graph(folder, about, text, packages or []))


def _graph(folder: Path, about: dict[str, Any], vocabulary: str | None, packages: list[str]) -> Graph:
    file = folder / FILES[about["format"]]
    match about["format"]:
        case "onnx":
            return OnnxGraph(file)
        case "torch-export":
            module = archive.load(file).module()
            return lambda raw: module(**raw)
    from experiments.export.weights import rebuilt  # which needs the training code

    return rebuilt(folder, about, vocabulary, packages)
