"""``load_export(DIR).predict(rows)``: an exported run, which for ONNX and torch-export needs no training code."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.loading.evaluation_batch_size import rows_at_once
from datamodules.loading.tensor_loader import TensorLoader
from datamodules.preprocessing.inputs import Chunk, Inputs
from datamodules.types import Modality
from experiments.export import artifact, torch_export_file
from experiments.export.artifact import FILES, Graph
from experiments.export.onnx_file import OnnxGraph
from experiments.inference.base import Answering


class Exported(Answering):
    """An artefact.

    Args:
        about: Its artifact.
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


def load_export(path: str | Path, trust: list[str] | None = None) -> Exported:
    """An artefact that ``evenhand export`` wrote.

    Args:
        path: Its folder.
        trust: Packages of your own that weights alone name a class of. A pyproject.toml is not read.

    Raises:
        DataError: For a folder that is none, or of which a byte was changed after it was written.
    """
    folder = Path(path)
    about = artifact.read(folder)
    vocabulary = folder / artifact.VOCABULARY
    text = vocabulary.read_text(encoding="utf-8") if artifact.VOCABULARY in about["files"] else None
    inputs = artifact.inputs_of(about["raw"], text)
    return Exported(about, inputs, _graph(folder, about, text, trust or []))


def _graph(folder: Path, about: dict[str, Any], vocabulary: str | None, packages: list[str]) -> Graph:
    file = folder / FILES[about["format"]]
    match about["format"]:
        case "onnx":
            return OnnxGraph(file)
        case "torch-export":
            module = torch_export_file.load(file).module()
            return lambda raw: module(**raw)
    from experiments.export.weights_file import rebuilt  # which needs the training code

    return rebuilt(folder, about, vocabulary, packages)
