"""Predictions of an exported run: ``load_export(DIR).predict(rows)``; a graph needs no training code."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from datamodules.errors import DataError, raise_shortage
from datamodules.loading.tensor_loader import TensorLoader
from datamodules.preprocessing.inputs import TIME, Chunk, Inputs
from datamodules.preprocessing.json_rows import reason_of
from datamodules.preprocessing.restore_inputs import import_inputs
from experiments.export import artifact
from experiments.export.formats import Graph, export_format
from experiments.inference.base import Answering
from experiments.inference.decision_rule import DecisionRule


class Exported(Answering):
    """Predictor of an artefact: inputs turn raw rows into the tensors of the graph."""

    def __init__(self, about: dict[str, Any], inputs: Inputs, graph: Graph) -> None:
        rule = DecisionRule.of(about.get("decisions", {}))
        super().__init__(about["task"], inputs, tuple(about["classes"]), tuple(about["targets"]), rule)
        self.signature, self.graph = about, graph
        self.specs = {spec["name"]: spec for spec in about["inputs"]}

    @override
    def compute(self, chunk: Chunk) -> Tensor:
        if not len(chunk.ids):
            return torch.empty(0, *self.signature["output"]["sizes"], dtype=torch.float64)
        raw, x = chunk.tensors, chunk.tensors["x"]
        if "lengths" in self.specs and "lengths" not in raw:
            raw = {**raw, "lengths": torch.full((len(x),), x.shape[-1])}
        elif "lengths" not in self.specs and "lengths" in raw:
            raise DataError(
                f"the network takes series of {self.specs['x']['shape'][-1]} steps alone, and some have less"
            )
        return torch.cat([self.run(batch) for batch in TensorLoader(raw, self.inputs.rows_at_once(x))])

    @torch.inference_mode()
    def run(self, raw: dict[str, Tensor]) -> Tensor:
        """Predicts one batch of the tensors that the signature describes (N, ...), float64.

        Rows of a graph with a fixed number of steps are padded to it.
        """
        x, spec = raw["x"], self.specs["x"]
        steps = spec["shape"][-1]
        if "lengths" in self.specs and isinstance(steps, int):
            x = torch.nn.functional.pad(x, (0, steps - x.shape[-1]))
        x = x.to(getattr(torch, spec["dtype"])).contiguous()
        try:
            prediction = self.graph({**raw, "x": x})
            fits = prediction.shape == (len(x), *self.signature["output"]["sizes"])
        except Exception as error:  # of torch or ONNX Runtime
            raise_shortage(error)
            raise DataError(f"a row does not fit the artefact ({reason_of(error)}); export the run again") from error
        if not fits:
            raise DataError(f"the graph gives {tuple(prediction.shape)} for {len(x)} rows; export the run again")
        return prediction


def load_export(path: str | Path, trust: list[str] | None = None) -> Exported:
    """Loads an artefact's folder that ``evenhand export`` wrote; raises ``DataError`` for any other, or a changed one.

    A user's ``trust``-ed packages have the class of a modality, or of a model that is exported as weights; a
    pyproject.toml is not read.
    """
    if trust:
        from experiments import import_allowlist  # needs jsonargparse, and a graph of ours does not

        import_allowlist.allow(trust)
    folder = Path(path)
    about = artifact.read(folder)
    try:
        files = {name: (folder / name).read_text("utf-8") for name in about["files"] if name.endswith(".json")}
        inputs = import_inputs(about["raw"], {}, files)
        if not _are_tensors_of(inputs, about["inputs"]):
            raise DataError(f"{folder / artifact.FILE} has other inputs than its raw rows; export the run again")
        return Exported(about, inputs, export_format(about["format"]).load(folder, about, files, trust or []))
    except DataError:
        raise
    except Exception as error:  # of any class of inputs
        raise_shortage(error)
        raise DataError(
            f"{folder / artifact.FILE} describes no artefact of this version, {error!r} is missing or wrong; export "
            "the run again"
        ) from error


def _are_tensors_of(inputs: Inputs, specs: list[dict[str, Any]]) -> bool:
    """Returns True if a graph's tensors are those of its inputs, which may have a fixed number of steps."""
    names = [spec.get("name") for spec in specs]
    expected = [spec for spec in inputs.signature() if spec["name"] != "lengths" or "lengths" in names]
    if names != [spec["name"] for spec in expected]:
        return False
    for spec, own in zip(specs, expected, strict=True):
        fixed = [own.get("most_steps", size) if size == TIME else size for size in own["shape"]]
        same = all(spec.get(name) == own.get(name) for name in ("dtype", "features", "categories", "most_steps"))
        if not same or spec.get("shape") not in (own["shape"], fixed):
            return False
    return True
